"""What an entry of the table of constructs is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.programs import Argument, Program

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Construct:
    """A program of the table.

    note: what to know of it, Markdown. watched: names of TTNN ops; how many of each the compiled program has is part of
    the record, where an op shows that something else is computed than was asked for.
    """

    program: Program
    note: str = ""
    watched: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the record."""
        return self.program.name


def construct(
    name: str,
    function: Callable[..., Any],
    *arguments: Argument,
    note: str = "",
    watched: tuple[str, ...] = (),
    **settings: Any,
) -> Construct:
    """A construct; `settings` are further fields of `Program`."""
    return Construct(Program(name, function, arguments, **settings), note, watched)


@dataclass(frozen=True, slots=True)
class Group:
    """Constructs of one kind; about is a sentence of Markdown."""

    title: str
    about: str
    constructs: tuple[Construct, ...]
