"""The lines at the end of a run on emu: how far programs are from the simulation, and which ops cost most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.results.card import emulated_programs
from pytest_tt.text import metric_text, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Named = tuple[str, Mapping[str, Any]]


def emulated_lines(cards: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines on the programs in `cards` (test to the ``card`` of its row): one for each system, one for what could not
    be compared, and with ``--tt-explain`` those of the dearest ops."""
    systems: dict[str, list[Named]] = {}
    for nodeid, card in cards.items():
        for entry in emulated_programs(card):
            if entry["calls"]:
                systems.setdefault(entry["system"], []).append((nodeid, entry))
    for system, programs in systems.items():
        yield _of_system(system, programs)
    found = [named for programs in systems.values() for named in programs]
    reasons = dict.fromkeys(entry["not_compared"] for _, entry in found if entry["not_compared"])
    for reason in reasons:
        number = sum(entry["not_compared"] == reason for _, entry in found)
        yield f"not compared with the simulation: {_many(number, 'program')} ({reason})"
    yield from explained(found)


def _of_system(system: str, programs: list[Named]) -> str:
    numerics = ", ".join(dict.fromkeys(entry["numerics"] for _, entry in programs))
    tests = len({nodeid for nodeid, _ in programs})
    exact = [entry["exact_rel_l2"] for _, entry in programs if entry["exact_rel_l2"] is not None]
    words = [f"{_many(len(programs), 'program')} of {_many(tests, 'test')} emulated on {system} ({numerics})"]
    if exact:
        words.append(f"without rounding at most {metric_text('rel_l2', max(exact))} from the simulation (rel L2)")
    rounded = [(entry["pcc"], nodeid, entry) for nodeid, entry in programs if entry["pcc"] is not None]
    if rounded:
        pcc, nodeid, entry = min(rounded, key=lambda each: each[0])
        least = f"least PCC {metric_text('pcc', pcc)}, rel L2 {metric_text('rel_l2', entry['rel_l2'])}"
        words.append(f"with the chip's numbers {least} ({entry['name']} of {nodeid})")
    return ": ".join([words[0], "; ".join(words[1:])]) if words[1:] else words[0]


def explained(programs: Iterable[Named]) -> Iterator[str]:
    """For each program the ops that cost most accuracy, the dearest first."""
    for nodeid, entry in programs:
        dearest = entry.get("dearest")
        if not dearest:
            continue
        yield f"what costs {entry['name']} of {nodeid} most accuracy (rel L2 that the op adds):"
        rows = [[metric_text("rel_l2", each["rel_l2"]), each["op"], each["place"] or "-"] for each in dearest]
        yield from (f"  {line}" for line in table(rows, right=(0,)).splitlines())


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
