"""The part of the page about emulation: models down, systems across, with the PCC that is predicted for a card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.report.cards import Compiled, by_system, plain
from pytest_tt.ci.report.rendering import Section, render, test_anchor
from pytest_tt.results.card import emulated_programs
from pytest_tt.text import metric_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_tt.ci.report.history import Current, History

NAMES = ("Means the same", "Predicted PCC", "rel L2")

# The bound of real chips, where a golden has no other.
_BOUND = 0.99


def emulated(history: History) -> Section | None:
    """A table of models and of systems whose chips were emulated; None where none were."""
    table = by_system(history, _programs, _cells)
    if table is None:
        return None
    name = "Emulated"
    content = render(
        "cards",
        name=name,
        intro="What TT's compiler made of the programs, executed on simulated chips: without rounding (does it mean "
        "what the simulation computes?) and with the chip's numbers, as calibrated, not measured on a card. Each "
        "number is the worst of the model's programs.",
        caption="What emulating each model's programs shows for each system",
        absent="not emulated",
        names=NAMES,
        **table,
    )
    return Section("emulated", name, content)


def _programs(tests: Sequence[Current]) -> Iterator[tuple[str, Compiled]]:
    for test in tests:
        for entry in emulated_programs(test.row.card):
            if entry["calls"]:
                yield entry["system"], Compiled(test, entry)


def _cells(programs: Sequence[Compiled]) -> list[dict[str, str]]:
    """A cell for each of `NAMES`; empty where the system has no program."""
    return [_same(programs), _pcc(programs), _rel_l2(programs)] if programs else []


def _same(programs: Sequence[Compiled]) -> dict[str, str]:
    compared = [program for program in programs if program.entry["exact_bound"] is not None]
    if not compared:
        return plain("-", "not compared")
    wrong = [each for each in compared if (each.entry["exact_rel_l2"] or 0.0) > each.entry["exact_bound"]]
    # JSON has no infinity: a result that is not finite where the simulation's is has none.
    wrong += [each for each in compared if each.entry["exact_rel_l2"] is None]
    first = (wrong or compared)[0]
    most = max((each.entry["exact_rel_l2"] or 0.0 for each in compared), default=0.0)
    words = f"without rounding at most {metric_text('rel_l2', most)} from the simulation (rel L2)"
    return {
        "shown": f"✗ {len(wrong)} of {len(compared)}" if wrong else f"✓ {len(compared)}",
        "words": f"{len(wrong)} of {len(compared)} programs compute something else" if wrong else words,
        "kind": "failed" if wrong else "passed",
        "anchor": test_anchor(first.test),
    }


def _pcc(programs: Sequence[Compiled]) -> dict[str, str]:
    known = [(program.entry["pcc"], program) for program in programs if program.entry["pcc"] is not None]
    if not known:
        return plain("-", "not known")
    least, program = min(known, key=lambda pair: pair[0])
    return {
        "shown": metric_text("pcc", least),
        "words": f"{program.entry['name']} correlates with the simulation by {metric_text('pcc', least)}",
        "kind": "passed" if least >= _BOUND else "failed",
        "anchor": test_anchor(program.test),
    }


def _rel_l2(programs: Sequence[Compiled]) -> dict[str, str]:
    known = [float(program.entry["rel_l2"]) for program in programs if program.entry["rel_l2"] is not None]
    if not known:
        return plain("-", "not known")
    shown = metric_text("rel_l2", max(known))
    return plain(shown, f"from {metric_text('rel_l2', min(known))} to {shown} a program")
