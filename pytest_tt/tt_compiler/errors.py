"""Why a program did not compile: the op, the user's line, the compiler's sentence, and what to write instead."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from pytest_tt.tt_compiler.hints import hint_for
from pytest_tt.tt_compiler.locations import Frame, Location, Locations
from pytest_tt.tt_compiler.stablehlo_text import StableHLOText

if TYPE_CHECKING:
    from collections.abc import Iterable


class TTCompileError(RuntimeError):
    """TT's compiler did not compile a program.

    `program` is its name, `system` what it was compiled for, `op` what was refused (``stablehlo.cholesky``; a primitive
    of jax that has no rule for ``tt``), `file` and `line` the user's, `sentence` the compiler's own, `hint` what to
    write instead. Each is None if it is not known, except for the sentence. `log` is all that the compiler printed.
    A `frame` stands for its file and line.
    """

    def __init__(
        self,
        sentence: str,
        *,
        program: str | None = None,
        system: str | None = None,
        op: str | None = None,
        file: str | None = None,
        line: int | None = None,
        hint: str | None = None,
        log: str = "",
        frame: Frame | None = None,
    ) -> None:
        if frame is not None:
            file, line = frame.file, frame.line
        self.sentence, self.program, self.op, self.file, self.line = sentence, program, op, file, line
        self.hint, self.log, self.system = hint, log, system
        super().__init__(self._text())

    def __reduce__(self) -> tuple[object, ...]:
        # pytest-xdist and processes of their own pickle exceptions; keyword arguments are lost by default.
        return _rebuilt, (
            self.sentence,
            {"program": self.program, "op": self.op, "file": self.file, "line": self.line, "hint": self.hint,
             "log": self.log, "system": self.system},
        )  # fmt: skip

    @property
    def place(self) -> str | None:
        """``model.py:12``, from the current directory on if it is below that; None if it is not known."""
        if self.file is None:
            return None
        here = os.getcwd() + os.sep
        return f"{self.file.removeprefix(here)}:{self.line}"

    def named(self, program: str, system: str | None = None) -> TTCompileError:
        """The same error of a program of that name, compiled for `system`."""
        return TTCompileError(
            self.sentence, program=program, system=system or self.system, op=self.op, file=self.file, line=self.line,
            hint=self.hint, log=self.log,
        )  # fmt: skip

    def _text(self) -> str:
        what = "" if self.program is None else f"{self.program}: "
        what += "" if self.op is None else f"{self.op} "
        what += "" if self.place is None else f"at {self.place}"
        compiler = "TT's compiler" if self.system is None else f"TT's compiler for {self.system}"
        lines = [f"{compiler}: {what.rstrip(' :')}{': ' if what else ''}{self.sentence}"]
        if self.hint is not None:
            lines.append(f"  instead: {self.hint}")
        return "\n".join(lines)


def _rebuilt(sentence: str, facts: dict[str, object]) -> TTCompileError:
    return TTCompileError(sentence, **facts)  # type: ignore[arg-type]


_DIAGNOSTIC = re.compile(r"^(?P<where>loc\(.*\)|\"[^\"]*\":\d+:\d+): error: (?P<sentence>.*)$")
_NATIVE = re.compile(r"(TT_FATAL|TT_THROW|terminate called|what\(\):|Assertion .* failed|LLVM ERROR|ERR\|).*")
_PLAIN = re.compile(r"\b(?:error|Error|ERROR): (?P<sentence>.+)$")
_OP = re.compile(r"'((?:stablehlo|ttir|ttnn|ttcore|sdy|chlo|mhlo)\.[\w.]+)'")
# What follows from an error before it, and says less.
_CONSEQUENCE = re.compile(r"Failed to (?:convert|run|annotate)|failed to (?:convert|run)")
_PREFIXES = re.compile(r"^(?:\w+Error: )?(?:INTERNAL|UNKNOWN|INVALID_ARGUMENT|UNIMPLEMENTED|FAILED_PRECONDITION): ")
# Primitives that are first seen while jax lowers others.
_LOWERED_TO = {"eigh": ("svd",)}
_NO_RULE = re.compile(r"MLIR translation rule for primitive '([\w-]+)' not found for platform \w+")


def refusal_from_log(log: str, stablehlo: str = "", *, program: str | None = None) -> TTCompileError:
    """The error that the compiler's `log`, its stderr or jax's message, describes.

    `stablehlo`, the program's text with locations, gives the file and line where the log has none. The first diagnostic
    counts that is not the consequence of another.
    """
    found = list(_diagnostics(log))
    telling = [pair for pair in found if not _CONSEQUENCE.match(pair[1])]
    location, sentence = next(iter([*telling, *found]), (Location("", ()), "it failed without a word"))
    match = _OP.search(sentence)
    op = match[1] if match else None
    if op is None and "unresolved materialization" in sentence and "complex<" in sentence:
        op = "stablehlo.fft" if "stablehlo.fft" in stablehlo else None
        location = Location(location.name, ()) if op else location
    if op is not None and location.frame is None:
        location = StableHLOText(stablehlo).first(op) or location
    return TTCompileError(
        sentence,
        program=program,
        op=op,
        frame=location.frame,
        hint=hint_for(op, sentence, location.name),
        log=log,
    )


def crashed(how: str, log: str = "", *, program: str | None = None) -> TTCompileError:
    """The compiler's process ended (`how`: ``signal SIGABRT``, ``exit status 1``) while it compiled the program."""
    words = [match[0] for match in map(_NATIVE.search, log.splitlines()) if match]
    last = words[-1].removeprefix("what():").removeprefix("ERR|").strip() if words else ""
    sentence = f"the compiler crashed ({how})" + (f": {last[:300]}" if last else "")
    return TTCompileError(sentence, program=program, hint=hint_for(None, sentence), log=log)


def timed_out(limit_s: float, log: str = "", *, program: str | None = None) -> TTCompileError:
    """The compiler did not end within its limit, and was killed."""
    return TTCompileError(
        f"the compiler did not end within {limit_s:g} s, and was killed",
        program=program,
        hint="raise the limit (--tt-timeout); optimization_level=1 and 2 hang for Wormhole in jax-tt-plugin 0.1.3",
        log=log,
    )


def from_jax(error: BaseException, jaxpr: Any = None, *, program: str | None = None) -> TTCompileError | None:
    """`error`, which jax raised while it lowered a program for ``tt``, as a TTCompileError; None for any other error.

    jax knows no lowering for such a primitive, and no compiler saw the program. `jaxpr` is the program's
    (``jitted.trace(...).jaxpr``): it gives the line where jax's own exception does not, in a function that jax jits
    itself.
    """
    sentence = str(error).splitlines()[0] if str(error) else ""
    rule = _NO_RULE.search(sentence)
    if rule is None and "not supported on tt backend" not in sentence:
        return None
    op = rule[1] if rule else None
    frame = _frame_before(error) or (None if op is None else _frame_in(jaxpr, op))
    return TTCompileError(
        sentence,
        program=program,
        op=op,
        frame=frame,
        hint=hint_for(None, sentence, op or ""),
    )


def _frame_before(error: BaseException) -> Frame | None:
    """The user's line that called what failed: jax chains an exception with that traceback to its own."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    tracebacks = (one.__traceback__ for one in seen if type(one).__name__ == "JaxStackTraceBeforeTransformation")
    frames = (Locations.from_traceback(traceback).frame for traceback in tracebacks)
    return next((frame for frame in frames if frame is not None and frame.is_users), None)


def _frame_in(jaxpr: Any, primitive: str) -> Frame | None:
    """The user's line of the first equation that is `primitive` or is lowered to it, or holds such a one."""
    for name in (primitive, *_LOWERED_TO.get(primitive, ())):
        for equation in getattr(getattr(jaxpr, "jaxpr", jaxpr), "eqns", ()):
            if _holds(equation, name):
                traceback = equation.source_info.traceback
                frames = () if traceback is None else traceback.frames
                lines = (Frame(frame.file_name, frame.line_num, frame.function_name) for frame in frames)
                return Location("", tuple(lines)).frame
    return None


def _holds(equation: Any, primitive: str) -> bool:
    if equation.primitive.name == primitive:
        return True
    values = [inner for value in equation.params.values() for inner in (value if isinstance(value, tuple) else [value])]
    inside = (getattr(getattr(value, "jaxpr", value), "eqns", ()) for value in values)
    return any(_holds(inner, primitive) for equations in inside for inner in equations)


def _diagnostics(log: str) -> Iterable[tuple[Location, str]]:
    """Where and what of each error in `log`, in its order."""
    lines = [line.strip() for line in log.splitlines()]
    locations = Locations({})
    for line in lines:
        if match := _DIAGNOSTIC.match(line):
            yield locations.resolve(match["where"].removeprefix("loc(").removesuffix(")")), match["sentence"]
    for line in lines:
        if "loc(" in line and _DIAGNOSTIC.match(line):
            continue
        if _PREFIXES.match(line):
            for part in _PREFIXES.sub("", line).split("; "):
                yield Location("", ()), part
        elif match := _PLAIN.search(line):
            yield Location("", ()), match["sentence"]
        elif match := _NATIVE.search(line):
            yield Location("", ()), match[0].removeprefix("ERR|").strip()
