"""Keeps a test's row up to date while the test runs."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from pytest_tt.results.card import emulated, extended
from pytest_tt.results.row import PROPERTY_NAMES, Row, to_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pytest

    from pytest_tt.results.arrays import Array

# Kinds of arrays kept of one test, so that a row stays short.
MOST_ARRAYS = 64


class Recorder:
    """The row of one test, with what the fixtures add to it."""

    def __init__(self, row: Row, tell_phase: Callable[[str, str], None] | None = None) -> None:
        self.row = row
        self._tell_phase = tell_phase
        self._runs: list[float] = []
        self._goldens: dict[str, dict[str, str | None]] = {}

    def restart(self) -> None:
        """The test is set up, perhaps once more after an attempt that failed: what that one left does not count."""
        kept = {name: getattr(self.row, name) for name in ("nodeid", "model", "variant", "mesh", "backend", "system")}
        self.row = Row(**kept)
        self._runs.clear()
        self._goldens.clear()
        if self._tell_phase is not None:
            self._tell_phase(self.row.nodeid, self.row.phase)

    def phase(self, phase: str) -> None:
        """The test has come to `phase`, one of results.row.PHASES."""
        if phase != self.row.phase:
            self.row.phase = phase
            if self._tell_phase is not None:
                self._tell_phase(self.row.nodeid, phase)

    def compiled(
        self, trace_s: float, compile_s: float, bytes_per_chip: int | None, collectives: Mapping[str, int] | None
    ) -> None:
        """A program was compiled: times and collectives add up over a test's programs, of bytes the most counts."""
        timing = self.row.timing
        timing["trace_s"] = round((timing["trace_s"] or 0.0) + trace_s, 6)
        timing["compile_s"] = round((timing["compile_s"] or 0.0) + compile_s, 6)
        if bytes_per_chip is not None:
            self.row.bytes_per_chip = max(bytes_per_chip, self.row.bytes_per_chip or 0)
        if collectives is not None:
            total = self.row.collectives or {}
            self.row.collectives = {
                kind: total.get(kind, 0) + collectives.get(kind, 0) for kind in sorted({*total, *collectives})
            }

    def placed(self, arguments: Iterable[tuple[dict[str, int] | None, Array]]) -> None:
        """A program was compiled for these arguments, each with its mesh's axes; each kind is kept once."""
        groups = self.row.placements = self.row.placements or []
        for axes, array in arguments:
            group = next((group for group in groups if group["axes"] == axes), None)
            if group is None:
                group = {"axes": axes, "arrays": []}
                groups.append(group)
            entry = array.to_json()
            if entry not in group["arrays"] and len(group["arrays"]) < MOST_ARRAYS:
                group["arrays"].append(entry)

    def work(self, counts: Mapping[str, int]) -> None:
        """One execution processes `counts` of each unit."""
        self.row.work = {**(self.row.work or {}), **counts}

    def layers(self, count: int) -> None:
        """The test's model has `count` layers that are alike.

        Raises TypeError for what is not a whole number, ValueError for one below 1.
        """
        try:
            number = operator.index(count)
        except TypeError:
            raise TypeError(f"layers: {count!r} is not a whole number: give how many layers the model has") from None
        if isinstance(count, bool) or number < 1:
            raise ValueError(f"layers: {count!r} is not a number from 1: give how many layers the model has")
        self.row.layers = number

    def card(self, compiler: Mapping[str, Any], entry: dict[str, Any]) -> None:
        """TT's `compiler` was asked for a program; `entry` is what came of it, see card.py."""
        self.row.card = extended(self.row.card, compiler, entry)

    def emulated(self, build: str, number: int, entry: dict[str, Any]) -> None:
        """A program was emulated; `entry` takes the place of program `number` (from 0), or comes after the last."""
        assert self.row.card is not None, "it was compiled before"
        self.row.card = emulated(self.row.card, build, number, entry)

    def not_compiled(self, systems: Mapping[str, str]) -> None:
        """TT's compiler was to compile for `systems` too, and is not asked for the reasons given."""
        self.row.card = {**(self.row.card or {"system": None, "compiler": None, "programs": []})}
        self.row.card["not_compiled"] = dict(systems)

    def ran(self, run_s: float) -> None:
        """A program was executed; the row shows the median of all executions."""
        from statistics import median

        self._runs.append(run_s)
        self.row.timing["run_s"] = round(median(self._runs), 6)

    def record(self, kind: str, facts: Mapping[str, Any]) -> None:
        """What ``tt_golden`` tells: ``phase``, ``golden`` (file, digest, model, variant) or ``compare`` (metrics)."""
        if kind == "phase":
            self.phase(facts["phase"])
        elif kind == "golden":
            golden = self._goldens[facts["case"]] = {"file": facts["file"], "digest": facts["digest"]}
            if self.row.golden is None or self.row.golden["file"] == golden["file"]:
                self.row.golden = golden
            self.row.model = facts.get("model") or self.row.model
            self.row.variant = facts.get("variant") or self.row.variant
        elif kind == "compare":
            # A test may compare several cases; each keeps the digest of its own golden.
            for case, metrics in facts.items():
                self.row.metrics[case] = {**metrics, "golden": self._goldens.get(case, {}).get("digest")}
        else:
            raise ValueError(f"unknown kind of record {kind!r}")

    def publish(self, item: pytest.Item) -> None:
        """Put the row into `item`'s user_properties, in place of what was there of it."""
        kept = [entry for entry in item.user_properties if entry[0] not in PROPERTY_NAMES]
        item.user_properties[:] = kept + to_properties(self.row)
