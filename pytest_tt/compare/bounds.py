"""Bounds that decide whether outputs agree with the expected values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_tt.compare.dtypes import kind_of
from pytest_tt.targets.choice import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np

FLOAT32_REL_L2 = 1e-5
LOW_PRECISION_PCC = 0.99
SCALE_GUARD_REL_L2 = 0.2

LOWER = ("pcc", "top1", "top5")
"""Metrics with a lower bound: smaller is worse."""
UPPER = ("rel_l2", "max_abs")
"""Metrics with an upper bound: larger is worse."""
METRICS = ("pcc", "rel_l2", "max_abs", "top1", "top5")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one comparison; None leaves a metric without a bound.

    pcc: least Pearson correlation, -1 to 1. rel_l2: greatest `||actual - expected|| / ||expected||`.
    max_abs: greatest absolute difference. top1, top5: least share of rows (0 to 1) whose actual argmax
    is the expected one, or among the expected five. reason: why a bound is looser than the default.
    Raises ValueError for values outside these ranges.
    """

    pcc: float | None = None
    rel_l2: float | None = None
    max_abs: float | None = None
    top1: float | None = None
    top5: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        limits = {"pcc": (-1.0, 1.0), "top1": (0.0, 1.0), "top5": (0.0, 1.0)}
        for name in METRICS:
            value = getattr(self, name)
            if value is None:
                continue
            low, high = limits.get(name, (0.0, math.inf))
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name}={value!r} is not a number: give one from {low:g} to {high:g}")
            if not low <= value <= high or math.isinf(value):
                raise ValueError(f"{name}={value!r} is out of range: give a number from {low:g} to {high:g}")
        reason: object = self.reason
        if reason is not None and not (isinstance(reason, str) and reason.strip()):
            raise ValueError("reason is empty: say why the bound is looser than the default")

    def given(self) -> dict[str, float]:
        """The metrics that have a bound."""
        return {name: getattr(self, name) for name in METRICS if getattr(self, name) is not None}

    @classmethod
    def from_json(cls, value: object, backend: str) -> Bounds:
        """Bounds recorded in a golden: `{"pcc": .., "reason": ".."}`, or the same under `sim`, `emu` and `hw`.

        Those under `hw` hold for `emu` too, where it has none of its own.

        Raises ValueError for anything else.
        """
        if not isinstance(value, dict):
            raise ValueError(f"bounds are {value!r}: expected an object with the keys {', '.join(METRICS)}")
        if value and set(value) <= set(KINDS):
            kind = KINDS[backend]
            value = value.get(backend, value.get(kind.bounds_of, {}))
            if not isinstance(value, dict):
                raise ValueError(f"bounds of {backend} are {value!r}: expected an object")
        unknown = sorted(set(value) - {*METRICS, "reason"})
        if unknown:
            known = ", ".join((*METRICS, "reason"))
            raise ValueError(f"bounds have the unknown key {unknown[0]!r}: known are {known}")
        return cls(**value)


def default_bounds(backend: str, dtype: np.dtype[Any]) -> Bounds:
    """Default bounds of a leaf of this dtype on the target called `backend`, e.g. `sim` or `hw`.

    Integers and bools must be equal. Float32 and wider on simulated chips: rel_l2 <= 1e-5. Narrower
    floats, and every float on real and on emulated chips (they round what they multiply): pcc >= 0.99.
    Correlation does not see scale, so rel_l2 <= 0.2 stands guard beside it.
    """
    kind = kind_of(dtype)
    if kind in ("integer", "bool"):
        return Bounds(max_abs=0.0)
    if KINDS[backend].rounds_float32 or kind == "low float":
        return Bounds(pcc=LOW_PRECISION_PCC, rel_l2=SCALE_GUARD_REL_L2)
    return Bounds(rel_l2=FLOAT32_REL_L2)


def constant_guard(pcc: float) -> float:
    """The rel_l2 bound that stands for a pcc bound where correlation is undefined.

    Output that correlates by `pcc`, with mean and spread right, is off by noise of sqrt(1 - pcc^2)
    times the spread: 0.141 at 0.99. A constant or single-element leaf may be off by as much, relative to
    its size. That is tighter than the scale guard, which alone would let a fifth pass.
    """
    return math.sqrt(max(0.0, 1.0 - pcc * pcc))


def scale_guard(pcc: float) -> float:
    """The rel_l2 bound that lets a loosened pcc bound decide: as much error again may be scale and offset.

    sqrt(2 (1 - pcc^2)) is 0.1995 at 0.99, where the default guard of 0.2 comes from.
    """
    return max(SCALE_GUARD_REL_L2, math.sqrt(2.0) * constant_guard(pcc))


def is_explicit(source: str) -> bool:
    """Whether a golden, a test or the status file gave the bound from this source."""
    return source.startswith(("golden", "test", "status"))


def merge(default: Bounds, override: Bounds, *, what: str = "the bound") -> Bounds:
    """`override` on top of `default`.

    Raises ValueError if it loosens a bound without a reason. A pcc below 0.99 counts as loosening
    wherever it is given, so that a test which passes on simulated chips is not stopped on the card.
    """
    given = override.given()
    for name, value in given.items():
        base = getattr(default, name)
        if base is None and name == "pcc":
            base = LOW_PRECISION_PCC
        if base is None:
            continue
        looser = value < base if name in LOWER else value > base
        if looser and override.reason is None:
            raise ValueError(
                f"{name}={value:g} is looser than {what} {base:g}: "
                f'add reason="why" to loosen it, or give a tighter value'
            )
    changes: dict[str, Any] = dict(given)
    if override.reason is not None:
        changes["reason"] = override.reason
    return replace(default, **changes)


def resolve(backend: str, dtype: np.dtype[Any], layers: Mapping[str, Bounds | None]) -> tuple[Bounds, dict[str, str]]:
    """Bounds of one leaf and, per metric, where each came from.

    `layers` maps a source ("golden", "test", "status") to its bounds, the weakest first. They do not touch integers
    and bools, which stay exact. A pcc that was loosened takes the scale guard along, unless rel_l2 was given
    too. Raises ValueError if a layer loosens without a reason.
    """
    bounds = default_bounds(backend, dtype)
    sources = dict.fromkeys(bounds.given(), f"default of {backend} {dtype.name}")
    if kind_of(dtype) in ("integer", "bool"):
        return bounds, sources
    for source, layer in layers.items():
        if layer is None:
            continue
        try:
            bounds = merge(bounds, layer, what="the bound")
        except ValueError as error:
            raise ValueError(f"{source}: {error} ({backend} {dtype.name})") from None
        because = f" ({layer.reason})" if layer.reason else ""
        sources.update(dict.fromkeys(layer.given(), f"{source}{because}"))
    judged_by_pcc = default_bounds(backend, dtype).pcc is not None
    if judged_by_pcc and bounds.pcc is not None and not is_explicit(sources["rel_l2"]):
        guard = scale_guard(bounds.pcc)
        if guard > SCALE_GUARD_REL_L2:
            bounds = replace(bounds, rel_l2=guard)
            sources["rel_l2"] = f"scale guard beside pcc >= {bounds.pcc:g}"
    return bounds, sources
