"""A line a model and ground: on which meshes it works, its worst numbers, and what it takes of a chip."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.results.row import rates
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.text import rate_text, short_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_tt.ci.report.history import Current
    from pytest_tt.results.row import Row

# The worst first: what a cell that stands for several tests shows.
SEVERITY = ("failed", "rerun", "xpassed", "xfailed", "skipped", "passed")
BAD = ("failed", "rerun")

NO_MESH = "no mesh"


@dataclass(frozen=True, slots=True)
class Summary:
    """The tests of one model on one backend and system, or on all of them (ground None)."""

    model: str
    ground: str | None
    tests: tuple[Current, ...]

    @property
    def outcomes(self) -> Counter[str]:
        """Outcome -> number of tests."""
        return Counter(test.row.outcome for test in self.tests)

    @property
    def by_mesh(self) -> dict[str, tuple[Current, ...]]:
        """Mesh -> its tests, smaller meshes first."""
        meshes = sorted({mesh_of(test.row) for test in self.tests}, key=mesh_order)
        return {mesh: tuple(test for test in self.tests if mesh_of(test.row) == mesh) for mesh in meshes}

    def worst(self, metric: str) -> float | None:
        """The worst value of a metric over all tests and cases; None where none has it."""
        values = [value for test in self.tests if (value := worst_metric(test.row, metric)) is not None]
        return _worst(metric, values)

    @property
    def bytes_per_chip(self) -> int | None:
        """The most that any of the tests holds on a chip."""
        return max(
            (test.row.bytes_per_chip for test in self.tests if test.row.bytes_per_chip is not None), default=None
        )

    @property
    def share_of_dram(self) -> float | None:
        """The most that any of the tests takes of a chip's DRAM, 1.0 for all of it; None where that is not known."""
        return max((share for test in self.tests if (share := dram_share(test.row)) is not None), default=None)

    @property
    def rate(self) -> str | None:
        """The highest rate of each unit, e.g. ``1,234 tokens/s``; None where no test says what it processes."""
        best: dict[str, float] = {}
        for test in self.tests:
            for unit, rate in rates(test.row).items():
                best[unit] = max(rate, best.get(unit, 0.0))
        return ", ".join(rate_text(unit, rate) for unit, rate in sorted(best.items())) or None


def summarise(tests: Iterable[Current]) -> list[Summary]:
    """A summary for each model and ground, in the order of their first tests' names."""
    groups: dict[tuple[str, str], list[Current]] = {}
    for test in tests:
        groups.setdefault((model_of(test.row), ground_of(test.row)), []).append(test)
    return [Summary(model, ground, tuple(group)) for (model, ground), group in sorted(groups.items())]


def count_text(outcomes: Counter[str]) -> str:
    """``2 failed, 22 passed``, the worst first."""
    return ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in SEVERITY if outcomes[outcome]) or "no tests"


def model_of(row: Row) -> str:
    """The model; of a test that compares with no golden, its file."""
    return row.model or row.nodeid.partition("::")[0]


def ground_of(row: Row) -> str:
    """Backend and system, e.g. ``hw t3k``."""
    return " ".join(part for part in (row.backend, row.system) if part is not None) or "unknown ground"


def mesh_of(row: Row) -> str:
    """The mesh as text."""
    return row.mesh or NO_MESH


def mesh_order(mesh: str) -> tuple[int, int, int]:
    """Sorts meshes by their number of chips, then by rows."""
    if mesh == NO_MESH:
        return 0, 0, 0
    shape = MeshShape.parse(mesh)
    return shape.chips, shape.rows, shape.cols


def worst_metric(row: Row, metric: str) -> float | None:
    """The worst value of a metric over the cases of a test; None where no case has it."""
    return _worst(metric, [case[metric] for case in row.metrics.values() if case[metric] is not None])


def _worst(metric: str, values: Sequence[float]) -> float | None:
    choose = max if metric in ("rel_l2", "max_abs") else min
    return choose(values) if values else None


def dram_share(row: Row) -> float | None:
    """How much of a chip's DRAM the test takes, 1.0 for all of it; None where bytes or system are not known."""
    if row.bytes_per_chip is None or row.system not in SYSTEMS:
        return None
    return row.bytes_per_chip / SYSTEMS[row.system].dram_bytes_per_chip


def memory_text(count: int | None, share: float | None) -> str:
    """``1.2 GiB (10.0 % of DRAM)``; ``-`` for nothing known."""
    return short_bytes(count) + ("" if share is None else f" ({share_text(share)} of DRAM)")


def share_text(share: float) -> str:
    """A share as percent: one decimal, and never 0 for something."""
    return "<0.1 %" if 0 < share < 0.001 else f"{share:.1%}".replace("%", " %")
