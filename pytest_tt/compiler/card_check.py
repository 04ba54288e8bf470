"""``--tt-compile``: whether a card could run a test's programs, by TT's compiler, beside what simulated chips do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tt.files import write_atomically
from pytest_tt.results.card import compiled, compiler_facts, refused
from pytest_tt.text import short_bytes
from pytest_tt.tt_compiler.errors import TTCompileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_tt.compiler.card_compiler import CardCompiler
    from pytest_tt.results.recorder import Recorder
    from pytest_tt.tt_compiler.card_program import CardProgram


class TTUpstreamWarning(UserWarning):
    """Tenstorrent's own compiler does not take an op that the installed build of it takes."""


class TTMockWarning(UserWarning):
    """A program failed on the mock device for a reason that is the mock device's."""


class ExpectedRefusalError(TTCompileError):
    """An error that the status file expects, for each system that has one."""


@dataclass(frozen=True, slots=True)
class CardCheck:
    """What ``--tt-compile`` asks of the programs of one test."""

    compiler: CardCompiler
    systems: Sequence[str]
    mesh: str
    expected: frozenset[str]
    """Systems for which the status file expects an error."""
    upstream: str
    """What to do about ops that upstream lacks: ``fail``, ``warn`` or ``off``."""
    recorder: Recorder
    mock: frozenset[str] = frozenset()
    """Systems on whose mock devices each program also runs once."""

    def check(
        self, lower: Callable[[], Any], name: str, options: Mapping[str, str], artifact: Path | None
    ) -> dict[str, CardProgram]:
        """A program compiled for each of the systems; `lower` gives what TT's compiler gets of it.

        Writes the program's TTIR and TTNN to files that begin with `artifact`. Raises TTCompileError for one that a
        card could not run: the first problem is its text, those of other systems are notes.
        """
        __tracebackhide__ = True
        problems: dict[str, TTCompileError] = {}
        programs: dict[str, CardProgram] = {}
        for system in self.systems:
            program, problem = self._check_for(system, lower, name, options, artifact)
            if program is not None:
                programs[system] = program
            if problem is not None:
                problems[system] = problem
        if not problems:
            return programs
        # What is not expected comes first: it is what fails the test.
        first = min(problems, key=lambda system: system in self.expected)
        error = problems.pop(first)
        for system, other in problems.items():
            same = (other.sentence, other.place) == (error.sentence, error.place)
            error.add_note(f"The same for {system}." if same else str(other))
        if {first, *problems} <= self.expected:
            error = _as_expected(error)
        raise error

    def _check_for(
        self, system: str, lower: Callable[[], Any], name: str, options: Mapping[str, str], artifact: Path | None
    ) -> tuple[CardProgram | None, TTCompileError | None]:
        try:
            program = self.compiler.compile(lower, system=system, name=name, options=options)
        except TTCompileError as error:
            self.recorder.card(self.compiler.facts, refused(name, system, self.mesh, one_line(error)))
            return None, error
        if artifact is not None:
            for stage, text in (("ttir", program.ttir), ("ttnn", program.ttnn)):
                write_atomically(artifact.with_name(f"{artifact.name}.{system}.{stage}.mlir"), text)
        found = list(problems_of(program, self.upstream))
        if self.upstream == "warn":
            for problem in upstream_problems(program):
                warnings.warn(TTUpstreamWarning(str(problem)), stacklevel=7)
        if system in self.mock and not found:
            found += self._mocked(lower, system, name, options)
        self.recorder.card(compiler_facts(*program.compiler), compiled(program, one_line(found[0]) if found else None))
        if not found:
            return program, None
        for other in found[1:]:
            found[0].add_note(str(other))
        return program, found[0]

    def _mocked(
        self, lower: Callable[[], Any], system: str, name: str, options: Mapping[str, str]
    ) -> list[TTCompileError]:
        problem, false_alarm = self.compiler.run_on_mock(lower, system=system, options=options)
        if false_alarm is not None:
            warnings.warn(TTMockWarning(f"{name} on a mock {system}: false alarm: {false_alarm}"), stacklevel=8)
        return [] if problem is None else [problem]


def problems_of(program: CardProgram, upstream: str = "fail") -> Iterator[TTCompileError]:
    """Why a card could not run a program that compiles, or not well: DRAM, ops on the host, ops that upstream lacks."""
    name, system = program.name, program.system
    if program.fits is False:
        have = short_bytes(program.dram_bytes)
        sentence = f"needs {short_bytes(program.dram_peak_bytes)} of DRAM on each chip, {system} has {have}"
        op = None
        if program.largest is not None:
            op, size = program.largest
            sentence += f"; its largest tensor, {short_bytes(size)}, is used here"
        yield TTCompileError(
            sentence,
            program=name,
            system=system,
            op=None if op is None else op.name,
            frame=None if op is None else op.location.frame,
            hint="use more chips and shard the parameters over them, a smaller batch or cache, or "
            "experimental_weight_dtype=bfp_bf8",
        )
    if program.host_ops:
        listed = ", ".join(f"{count} {op}" for op, count in program.host_ops.items())
        yield TTCompileError(
            f"runs ops on the host's CPU: {listed}",
            program=name,
            system=system,
            hint="write them with ops that run on the chips; each costs a transfer to the host and back",
        )
    if upstream == "fail":
        yield from upstream_problems(program)


def upstream_problems(program: CardProgram) -> Iterator[TTCompileError]:
    """The ops of a program that this build of the compiler takes, and Tenstorrent's own does not, each once."""
    for finding in {finding.name: finding for finding in reversed(program.upstream)}.values():
        yield TTCompileError(
            f"{finding.reason} ({program.compiler.package} takes it; tt_compile_upstream = off allows it)",
            program=program.name,
            system=program.system,
            op=finding.name,
            frame=finding.location.frame,
            hint=finding.hint,
        )


def one_line(error: TTCompileError) -> str:
    """The error's text in one line."""
    return " ".join(str(error).split())


def _as_expected(error: TTCompileError) -> ExpectedRefusalError:
    expected = ExpectedRefusalError(
        error.sentence,
        program=error.program,
        system=error.system,
        op=error.op,
        file=error.file,
        line=error.line,
        hint=error.hint,
        log=error.log,
    )
    for note in getattr(error, "__notes__", ()):
        expected.add_note(note)
    return expected
