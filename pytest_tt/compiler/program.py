"""A compiled program: its collectives, its memory per chip, and its times."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_tt.compiler.emulation import EmulatedCall
    from pytest_tt.tt_compiler.card_program import CardProgram

# Collectives as XLA's HLO text names them; an asynchronous one is counted at its start.
_COLLECTIVE = re.compile(
    r"^\s*(?:ROOT )?%?\S+ = .*? "
    r"(all-reduce|all-gather|reduce-scatter|all-to-all|ragged-all-to-all|collective-permute|collective-broadcast)"
    r"(?:-start)?\(",
    re.MULTILINE,
)


@dataclass(slots=True)
class Program:
    """One compiled program: a function at given shapes, dtypes and shardings."""

    name: str
    lowered: Any = field(repr=False)
    compiled: Any = field(repr=False)
    trace_s: float
    compile_s: float
    bytes_per_chip: int | None
    """Arguments, outputs and temporaries on one chip (on a card: their peak); None if the backend does not say."""
    collectives: dict[str, int] | None
    """Kind, e.g. ``all-reduce``, to count in the compiled program; None if the backend does not say."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of TT's compiler for this program; simulated chips only check them."""
    runs_s: list[float] = field(default_factory=list)
    card: CardProgram | None = field(default=None, repr=False)
    """What TT's compiler made for the chips that it runs on: on emu, and on hw if the plugin's executables can be read;
    None on simulated chips."""
    emulated: EmulatedCall | None = field(default=None, repr=False)
    """How `card` is executed, on emu."""

    @property
    def stablehlo(self) -> str:
        """The StableHLO text that the compiler gets."""
        return str(self.lowered.as_text())

    @property
    def run_s(self) -> float | None:
        """Median time of an execution, until its results are ready."""
        return median(self.runs_s) if self.runs_s else None


def count_collectives(compiled: Any) -> dict[str, int] | None:
    """Collectives of a compiled program by kind; None if the backend gives no HLO text."""
    text = _told(compiled.as_text)
    return None if text is None else dict(sorted(Counter(_kinds(text)).items()))


def _kinds(hlo: str) -> Iterable[str]:
    return (match[1] for match in _COLLECTIVE.finditer(hlo))


def bytes_per_chip(compiled: Any) -> int | None:
    """What one chip holds while the program runs: arguments, outputs and temporaries, aliases once."""
    memory = _told(compiled.memory_analysis)
    if memory is None:
        return None
    return int(
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )


def _told(ask: Callable[[], Any]) -> Any:
    """The result of a compiled program's method `ask`; None if the backend does not implement it."""
    try:
        return ask()
    except (NotImplementedError, RuntimeError):
        return None
