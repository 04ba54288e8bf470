"""What is known of one tt test. Plain JSON types only, so that a row travels through xdist and into every report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tt.run import TTRun

PHASES = ("setup", "trace", "compile", "execute", "compare")

_PREFIX = "tt_"


@dataclass(slots=True)
class Row:
    """A row of the results document. It starts as failed, so that a crash still shows."""

    nodeid: str
    model: str | None = None
    variant: str | None = None
    mesh: str | None = None
    backend: str | None = None
    system: str | None = None
    outcome: str = "failed"
    phase: str = "setup"
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    timing: dict[str, float | None] = field(default_factory=lambda: {"trace_s": None, "compile_s": None, "run_s": None})
    bytes_per_chip: int | None = None
    collectives: dict[str, int] | None = None
    golden: dict[str, str | None] | None = None
    reason: str | None = "not run: the run ended before this test"
    placements: list[dict[str, Any]] | None = None
    """For each set of mesh axes (``axes``: name -> size, or null) the ``arrays`` that programs take, see arrays.py."""
    shardings: list[dict[str, Any]] | None = None
    """The same in rows that earlier versions wrote, each array as a line of text."""
    work: dict[str, int] | None = None
    """Unit, e.g. ``tokens``, to how many of it one execution of a program processes."""
    layers: int | None = None
    """How many layers that are alike the model has, where the test says so."""
    card: dict[str, Any] | None = None
    """What TT's compiler makes of the test's programs, without a card, see card.py."""

    @classmethod
    def begin(cls, nodeid: str, run: TTRun) -> Row:
        """The row of a collected test that has not run yet."""
        return cls(nodeid, run.model, run.variant, str(run.mesh), run.backend, run.system)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; JSON has no NaN and no infinity, which become null."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain


def rates(row: Row) -> dict[str, float]:
    """Units per second, e.g. ``{"tokens": 1234.5}``, by the median run time; empty where either is unknown."""
    run_s = row.timing["run_s"]
    if not row.work or not run_s:
        return {}
    return {unit: count / run_s for unit, count in row.work.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value


# What the process that runs a test knows; outcome and reason follow from pytest's reports.
_OWN = tuple(f.name for f in fields(Row) if f.name not in ("nodeid", "outcome", "reason", "shardings"))
_STRUCTURED = frozenset({"metrics", "timing", "collectives", "golden", "placements", "work", "card"})
PROPERTY_NAMES = frozenset(_PREFIX + name for name in _OWN)


def to_properties(row: Row) -> list[tuple[str, object]]:
    """`row` as pytest ``user_properties``: one each, what is nested as JSON text, what is unknown left out."""
    properties: list[tuple[str, object]] = []
    for name in _OWN:
        value = getattr(row, name)
        if value is None or (name == "metrics" and not value):
            continue
        text = json.dumps(_finite(value), sort_keys=True) if name in _STRUCTURED else value
        properties.append((_PREFIX + name, text))
    return properties


def update_from_properties(row: Row, properties: Iterable[tuple[str, object]]) -> None:
    """Take over into `row` what `to_properties` wrote."""
    for key, value in properties:
        if key in PROPERTY_NAMES:
            name = key.removeprefix(_PREFIX)
            setattr(row, name, json.loads(str(value)) if name in _STRUCTURED else value)
