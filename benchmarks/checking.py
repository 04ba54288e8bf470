"""Compiles programs, and says by name which verdicts are not the recorded ones."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from benchmarks.verdicts import Record, differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.programs import Program
    from benchmarks.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and the lines of what differs from the record."""

    found: Mapping[str, Verdict]
    different: Sequence[str]

    @property
    def exit_code(self) -> int:
        """1 if anything differs."""
        return int(bool(self.different))


def run(
    programs: Sequence[tuple[Program, Sequence[str]]],
    path: Path,
    *,
    store: Path | None = None,
    record: bool = False,
    whole: bool = True,
) -> Checked | None:
    """Compile `programs`, print what differs from the record in the file `path`, or `record` it there.

    `whole`: they are all that the record is of. None, and a line on stderr, if the compiler is not installed.
    """
    from benchmarks.compiling import compiler, verdicts
    from pytest_tt.tt_compiler.build import CompilerMissing

    begin, jax = time.perf_counter(), version("jax")
    try:
        build = compiler()
    except CompilerMissing as error:
        print(error, file=sys.stderr)
        return None
    found = verdicts(programs, store)
    before = Record.read(path) if path.exists() else Record(build, jax, {})
    expected = before.for_jax(jax)
    different = differences(found, expected)
    spent = time.perf_counter() - begin
    print(f"{len(found)} programs, {build}, jax {jax}, {spent:.0f} s; recorded: {before.compiler}")
    print("".join(f"  {line}\n" for line in different) or "  all as recorded\n", end="")
    if record:
        before.updated(build, jax, found if whole else {**expected, **found}).write(path)
        different = []
    return Checked(found, different)
