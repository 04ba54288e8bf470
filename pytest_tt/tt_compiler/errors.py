"""Why a program did not compile: the op, the user's line, the compiler's sentence, and what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_tt.tt_compiler.hints import hint_for
from pytest_tt.tt_compiler.locations import Location, Locations

if TYPE_CHECKING:
    from collections.abc import Iterable


class TTCompileError(RuntimeError):
    """TT's compiler did not compile a program.

    `program` is its name, `system` what it was compiled for, `op` what was refused (``stablehlo.cholesky``; a primitive
    of jax that has no rule for ``tt``), `file` and `line` the user's, `sentence` the compiler's own, `hint` what to
    write instead. Each is None if it is not known, except for the sentence. `log` is all that the compiler printed.
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
    ) -> None:
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
        """``/path/model.py:12``; None if it is not known."""
        return None if self.file is None else f"{self.file}:{self.line}"

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
_PLAIN = re.compile(r"(?:^|\b)(?:error|Error|ERROR):? (?P<sentence>.+)$")
_OP = re.compile(r"'((?:stablehlo|ttir|ttnn|ttcore|sdy|chlo|mhlo|func)\.[\w.]+)'")
# What follows from an error before it, and says less.
_CONSEQUENCE = re.compile(r"Failed to (?:convert|run|annotate)|failed to (?:convert|run)")
_PREFIXES = re.compile(r"^(?:\w+Error: )?(?:INTERNAL|UNKNOWN|INVALID_ARGUMENT|UNIMPLEMENTED|FAILED_PRECONDITION): ")
_NO_RULE = re.compile(r"MLIR translation rule for primitive '([\w-]+)' not found for platform \w+")


def refusal_from_log(log: str, stablehlo: str = "", *, program: str | None = None) -> TTCompileError:
    """The error that the compiler's `log`, its stderr or jax's message, describes.

    `stablehlo`, the program's text with locations, gives the file and line where the log has none. The first diagnostic
    that names an op counts, else the first, else the first line that says error.
    """
    found = list(_diagnostics(log))
    named = [pair for pair in found if _OP.search(pair[1])]
    telling = [pair for pair in found if not _CONSEQUENCE.search(pair[1])]
    location, sentence = next(iter([*named, *telling, *found]), (Location("", ()), "it failed without a word"))
    match = _OP.search(sentence)
    op = match[1] if match else None
    if op is not None and location.frame is None:
        location = _first_of(op, stablehlo) or location
    frame = location.frame
    return TTCompileError(
        sentence,
        program=program,
        op=op,
        file=None if frame is None else frame.file,
        line=None if frame is None else frame.line,
        hint=hint_for(op, sentence, location.name),
        log=log,
    )


def crashed(how: str, log: str = "", *, program: str | None = None) -> TTCompileError:
    """The compiler's process ended (`how`: ``signal SIGABRT``, ``exit status 1``) while it compiled the program."""
    last = next((match[0].strip() for match in map(_NATIVE.search, log.splitlines()) if match), None)
    sentence = f"the compiler crashed ({how})" + ("" if last is None else f": {last[:300]}")
    return TTCompileError(sentence, program=program, hint=hint_for(None, sentence), log=log)


def timed_out(limit_s: float, log: str = "", *, program: str | None = None) -> TTCompileError:
    """The compiler did not end within its limit, and was killed."""
    return TTCompileError(
        f"the compiler did not end within {limit_s:g} s, and was killed",
        program=program,
        hint="raise the limit (--tt-timeout); optimization_level=1 and 2 hang for Wormhole in jax-tt-plugin 0.1.3",
        log=log,
    )


def from_jax(error: BaseException, *, program: str | None = None) -> TTCompileError | None:
    """`error`, which jax raised while it lowered a program for ``tt``, as a TTCompileError; None for any other error.

    jax knows no lowering for such a primitive, and no compiler saw the program. The line is the innermost of the user's
    code in the traceback.
    """
    sentence = str(error).splitlines()[0] if str(error) else ""
    rule = _NO_RULE.search(sentence)
    if rule is None and "not supported on tt backend" not in sentence:
        return None
    op = rule[1] if rule else None
    frame = _lines_of_user(error).frame
    return TTCompileError(
        sentence,
        program=program,
        op=op,
        file=None if frame is None else frame.file,
        line=None if frame is None else frame.line,
        hint=hint_for(None, sentence, op or ""),
    )


def _lines_of_user(error: BaseException) -> Location:
    """Where the user's function called what failed: jax chains an exception with that traceback to its own."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    before = next((one for one in chain if type(one).__name__ == "JaxStackTraceBeforeTransformation"), error)
    return Locations.from_traceback(before.__traceback__)


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
        elif match := _NATIVE.search(line) or _PLAIN.search(line):
            yield Location("", ()), match[0].strip()


def _first_of(op: str, stablehlo: str) -> Location | None:
    """Where the first `op` of the program comes from."""
    lines = stablehlo.splitlines()
    locations = Locations.of(lines)
    for number, line in enumerate(lines):
        if not line.startswith("#") and re.search(rf'"?{re.escape(op)}"?[ (<]', line):
            return locations.of_op(lines, number)
    return None
