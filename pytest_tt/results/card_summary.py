"""The lines at the end of a run with ``--tt-compile`` or on emu: how many programs were compiled for which system."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_tt.results.card import system_of_program
from pytest_tt.results.emulated_summary import emulated_lines
from pytest_tt.results.row import Row, update_from_properties
from pytest_tt.text import short_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pytest

_PROBLEMS = _REFUSED, _TOO_LARGE, _UNKNOWN, _ON_THE_HOST, _NOT_UPSTREAM = (
    "refused", "too large for a chip", "whose peak of DRAM is not known", "with ops on the host",
    "with ops that upstream lacks",
)  # fmt: skip


@dataclass(slots=True)
class _Count:
    """What is known of one system."""

    programs: int = 0
    tests: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    most: tuple[int, int] | None = None
    """The largest peak of DRAM, and what a chip has."""


class CardSummary:
    """Registered as a pytest plugin where ``--tt-compile`` is given and on emu, in the process that reports."""

    def __init__(self) -> None:
        self._cards: dict[str, Mapping[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        row = Row(report.nodeid)
        update_from_properties(row, report.user_properties)
        if row.card is not None:
            self._cards[report.nodeid] = row.card

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in summary_lines(self._cards.values()):
            terminalreporter.write_line(f"tt: {line}")
        for line in emulated_lines(self._cards):
            terminalreporter.write_line(f"tt: {line}")


def summary_lines(cards: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each system that the programs of the rows' `cards` were compiled for, and one for what was not."""
    counts: dict[str, _Count] = {}
    left_out: Counter[tuple[str, str]] = Counter()
    compilers: dict[str, None] = {}
    for card in cards:
        if card["compiler"] is not None:
            compilers[f"{card['compiler']['package']} {card['compiler']['version']}"] = None
        seen = set()
        for entry in card["programs"]:
            system = system_of_program(card, entry) or "an unknown system"
            _count(counts.setdefault(system, _Count()), entry)
            seen.add(system)
        for system in seen:
            counts[system].tests += 1
        left_out.update((system, reason) for system, reason in card.get("not_compiled", {}).items())
    for system, count in counts.items():
        problems = ", ".join(f"{count.problems[what]} {what}" for what in _PROBLEMS if count.problems[what])
        peak = "" if count.most is None else f"; the largest takes {_of(*count.most)} of a chip"
        yield (
            f"{_many(count.programs, 'program')} of {_many(count.tests, 'test')} compiled for {system} by "
            f"{', '.join(compilers)}: {problems or 'all taken'}{peak}"
        )
    for (system, reason), number in sorted(left_out.items()):
        yield f"not compiled for {system}: {_many(number, 'test')} ({reason})"


def _count(count: _Count, entry: Mapping[str, Any]) -> None:
    count.programs += 1
    count.problems.update(problems_of_entry(entry))
    peak, have = entry["dram_peak_bytes"], entry.get("dram_bytes")
    if peak is not None and have and (count.most is None or peak / have > count.most[0] / count.most[1]):
        count.most = peak, have


def problems_of_entry(entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with a program of a row's ``card``, in few words."""
    if not entry["ok"]:
        return [_REFUSED]
    found = {
        _TOO_LARGE: entry.get("fits") is False,
        _UNKNOWN: entry.get("fits") is None,
        _ON_THE_HOST: entry["host_ops"],
        _NOT_UPSTREAM: entry.get("upstream"),
    }
    return [what for what, there in found.items() if there]


def _of(peak: int, have: int) -> str:
    return f"{short_bytes(peak)} of the {short_bytes(have)}"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
