"""A recorded outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.programs import Argument, Program

if TYPE_CHECKING:
    from collections.abc import Callable

PASSES = "passes"
COMPILE = "compile failure"
PLACEMENT = "front end: arguments without shardings"
RUNTIME = "runtime failure"
MEMORY = "out of memory"
NUMBERS = "wrong numbers"
SKIPPED = "skipped: type not supported"
CLASSES = (PASSES, COMPILE, PLACEMENT, RUNTIME, MEMORY, NUMBERS, SKIPPED)
"""Classes of recorded outcomes, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Case:
    """A test of TT-XLA's, by its name below ``tests/``; recorded: one of `CLASSES`; reason: why, in short."""

    program: Program
    recorded: str
    reason: str = ""

    @property
    def name(self) -> str:
        """The test."""
        return self.program.name


def case(
    name: str,
    function: Callable[..., Any],
    *arguments: Argument,
    recorded: str = PASSES,
    reason: str = "",
    **settings: Any,
) -> Case:
    """A case; `settings` are further fields of `Program`."""
    return Case(Program(name, function, arguments, **settings), recorded, reason)
