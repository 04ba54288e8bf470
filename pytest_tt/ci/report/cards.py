"""The part of the page about what TT's compiler says: models down, systems across."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tt.ci.report.overview import by_model
from pytest_tt.ci.report.rendering import Section, anchor, render, test_anchor
from pytest_tt.ci.report.summary import share_text
from pytest_tt.results.card import system_of_program, total
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.text import second_text, short_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_tt.ci.report.history import Current, History

NAMES = ("Compiles", "Fits", "Ops on the host", "Ops per layer", "At best")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What is known of a program that the compiler made, and the test whose it is."""

    test: Current
    entry: dict[str, Any]

    @property
    def per_layer(self) -> float | None:
        """Ops for each layer of the model; None where either is not known."""
        ops, layers = total(self.entry["ops"]), self.test.row.layers
        return None if ops is None or layers is None else ops / layers

    @property
    def share(self) -> float | None:
        """How much of a chip's DRAM it takes, 1.0 for all of it; None where that is not known."""
        peak, have = self.entry["dram_peak_bytes"], self.entry.get("dram_bytes")
        return None if peak is None or not have else float(peak / have)


def cards(history: History) -> Section | None:
    """A table of models and of systems that programs were compiled for; None where none was."""
    table = by_system(history, _programs, _cells)
    if table is None:
        return None
    name = "Compiled for a card"
    content = render(
        "cards",
        name=name,
        intro="By Tenstorrent's compiler, without a card. Each number is the worst of the model's programs; "
        '"at best" is a bound by the chip\'s peaks, not a measurement.',
        caption="What TT's compiler makes of each model's programs for each system",
        absent="not compiled",
        names=NAMES,
        **table,
    )
    return Section("cards", name, content)


def by_system(
    history: History,
    programs_of: Callable[[Sequence[Current]], Iterator[tuple[str, Compiled]]],
    cells: Callable[[Sequence[Compiled]], list[dict[str, str]]],
) -> dict[str, Any] | None:
    """Systems and rows of a table of models: `cells` of the programs of each system, which `programs_of` finds in a
    model's tests. None without programs."""
    found: dict[str, dict[str, list[Compiled]]] = {}
    for model, tests in by_model(history).items():
        for system, program in programs_of(tests):
            found.setdefault(model, {}).setdefault(system, []).append(program)
    if not found:
        return None
    known = list(SYSTEMS)
    systems = sorted(
        {system for here in found.values() for system in here},
        key=lambda system: (known.index(system) if system in known else len(known), system),
    )
    rows = [
        {
            "anchor": anchor("model", model),
            "model": model,
            "cells": [cells(here.get(system, ())) for system in systems],
        }
        for model, here in found.items()
    ]
    return {"systems": systems, "rows": rows}


def _programs(tests: Sequence[Current]) -> Iterator[tuple[str, Compiled]]:
    for test in tests:
        for entry in (test.row.card or {"programs": ()})["programs"]:
            assert test.row.card is not None
            yield system_of_program(test.row.card, entry) or "unknown system", Compiled(test, entry)


def _cells(programs: Sequence[Compiled]) -> list[dict[str, str]]:
    """A cell for each of `NAMES`; empty where the system has no program."""
    if not programs:
        return []
    refused = [program for program in programs if not program.entry["ok"]]
    first = (refused or programs)[0]
    compiles = f"✗ {len(refused)} of {len(programs)}" if refused else f"✓ {len(programs)}"
    words = (
        f"{len(refused)} of {len(programs)} programs refused: {first.entry['error']}"
        if refused
        else f"all {len(programs)} programs compile"
    )
    return [
        {"shown": compiles, "words": words, "kind": _kind(refused), "anchor": test_anchor(first.test)},
        _fits(programs),
        _most(programs, "host_ops"),
        _per_layer(programs),
        _at_best(programs),
    ]


def _kind(refused: Sequence[Compiled]) -> str:
    """The outcome by whose colour the cell is shown: a refusal that no test fails for is expected."""
    if not refused:
        return "passed"
    return "failed" if any(program.test.row.outcome == "failed" for program in refused) else "xfailed"


def _fits(programs: Sequence[Compiled]) -> dict[str, str]:
    sized = [(program.share, program) for program in programs if program.share is not None]
    if not sized:
        return plain("-", "not known")
    share, largest = max(sized, key=lambda pair: pair[0])
    peak, have = (short_bytes(largest.entry[key]) for key in ("dram_peak_bytes", "dram_bytes"))
    fits = share <= 1
    return {
        "shown": f"{'✓' if fits else '✗'} {share_text(share)}",
        "words": f"the largest program takes {peak} of the {have} of a chip",
        "kind": "passed" if fits else "failed",
        "anchor": test_anchor(largest.test),
    }


def _most(programs: Sequence[Compiled], key: str) -> dict[str, str]:
    counts = [count for program in programs if (count := total(program.entry[key])) is not None]
    if not counts:
        return plain("-", "not known")
    return plain(f"{max(counts):,}", f"at most {max(counts):,} in a program")


def _per_layer(programs: Sequence[Compiled]) -> dict[str, str]:
    layered = [count for program in programs if (count := program.per_layer) is not None]
    if layered:
        return plain(f"{max(layered):,.0f}", f"from {min(layered):,.0f} to {max(layered):,.0f} ops a layer")
    counts = [count for program in programs if (count := total(program.entry["ops"])) is not None]
    if not counts:
        return plain("-", "not known")
    return plain(f"{max(counts):,} in all", f"from {min(counts):,} to {max(counts):,} ops a program, all layers")


def _at_best(programs: Sequence[Compiled]) -> dict[str, str]:
    times = [float(time) for program in programs if (time := program.entry["roofline_s"]) is not None]
    if not times:
        return plain("-", "not known")
    return plain(second_text(max(times)), f"from {second_text(min(times))} to {second_text(max(times))} a program")


def plain(shown: str, words: str) -> dict[str, str]:
    """A cell without a colour or a link."""
    return {"shown": shown, "words": words, "kind": "", "anchor": ""}
