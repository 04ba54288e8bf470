"""The elements that are off: which, how many, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_tt.compare.dtypes import kind_of
from pytest_tt.compare.metrics import chunks

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]
    Number = bool | int | float


@dataclass(frozen=True, slots=True)
class Element:
    """One element: actual, expected and their difference, as Python numbers."""

    index: tuple[int, ...]
    actual: Number
    expected: Number
    difference: float


@dataclass(frozen=True, slots=True)
class Misses:
    """Elements that are off. rule: what counts as off; box: per axis first and one past last off index."""

    count: int
    size: int
    rule: str
    worst: tuple[Element, ...]
    box: tuple[tuple[int, int], ...]

    def where(self, shape: tuple[int, ...]) -> list[str]:
        """A line that says which part of the leaf contains all misses; empty if they are all over it."""
        if self.count < 2 or not self.box:
            return []
        narrow = [axis for axis, (low, high) in enumerate(self.box) if high - low <= shape[axis] // 2]
        if not narrow:
            return []
        inside = ", ".join(f"{low}:{high}" if axis in narrow else ":" for axis, (low, high) in enumerate(self.box))
        return [f"all of them are in [{inside}], the rest agrees: one shard or one row is wrong?"]


def find_misses(
    actual: Array,
    expected: Array,
    relative: float | None,
    absolute: float | None,
    rms: float,
    rows: int,
) -> Misses:
    """Elements of two real arrays of one shape that are off, with the `rows` worst of them.

    Off: not finite; or farther from expected than `relative` times the larger of |expected| and its `rms`;
    or farther than `absolute`. Integers and bools are off if they are not equal.
    """
    exact = kind_of(actual.dtype) in ("integer", "bool")
    flat_actual, flat_expected = np.ravel(actual), np.ravel(expected)
    off = np.zeros(actual.size, dtype=bool)
    kept: list[tuple[float, int]] = []
    with np.errstate(all="ignore"):
        for start, a, e in chunks(actual, expected):
            distance = np.abs(a - e)
            bad = ~(np.isfinite(a) & np.isfinite(e))
            if exact:
                stretch = slice(start, start + a.size)
                wrong = np.asarray(flat_actual[stretch] != flat_expected[stretch], dtype=bool)
                distance[wrong & (distance == 0)] = 1.0  # int64 neighbours that float64 cannot tell apart
            else:
                wrong = np.zeros(a.size, dtype=bool)
                if relative is not None:
                    wrong |= distance > relative * np.maximum(np.abs(e), rms)
                if absolute is not None:
                    wrong |= distance > absolute
                if relative is None and absolute is None:
                    wrong |= distance > 0
            distance[bad] = np.inf
            off[start : start + a.size] = wrong | bad
            kept += [(float(distance[i]), start + int(i)) for i in _largest(distance, rows)]
            kept = sorted(kept, key=lambda pair: (-pair[0], pair[1]))[:rows]
    worst = tuple(_element(actual, expected, index) for distance, index in kept if distance > 0)
    rules = []
    if relative is not None and not exact:
        rules.append(f"more than {relative:.3g} x max(|expected|, {rms:.3g} = its rms)")
    if absolute is not None and not exact:
        rules.append(f"more than {absolute:g}")
    return Misses(
        count=int(np.count_nonzero(off)),
        size=int(actual.size),
        rule=" or ".join(rules) or "not equal",
        worst=worst,
        box=_box(off.reshape(actual.shape)),
    )


def _largest(values: Array, rows: int) -> Array:
    """Indices of the largest values; the first of equal ones."""
    if rows <= 0 or values.size == 0:
        return np.empty(0, dtype=np.int64)
    if values.size <= rows:
        return np.arange(values.size)
    threshold = np.partition(values, values.size - rows)[values.size - rows]
    above, equal = np.flatnonzero(values > threshold), np.flatnonzero(values == threshold)
    return np.concatenate([above, equal[: rows - above.size]])


def _element(actual: Array, expected: Array, flat: int) -> Element:
    index = tuple(int(i) for i in np.unravel_index(flat, actual.shape))
    a, e = _number(actual[index]), _number(expected[index])
    return Element(index, a, e, float(a) - float(e) if isinstance(a, float) else float(int(a) - int(e)))


def _number(value: Any) -> Number:
    kind = kind_of(value.dtype)
    if kind == "bool":
        return bool(value)
    return int(value) if kind == "integer" else float(value)


def _box(off: Array) -> tuple[tuple[int, int], ...]:
    if off.ndim == 0 or not off.any():
        return ()
    box = []
    for axis in range(off.ndim):
        hits = np.flatnonzero(off.any(axis=tuple(i for i in range(off.ndim) if i != axis)))
        box.append((int(hits[0]), int(hits[-1]) + 1))
    return tuple(box)
