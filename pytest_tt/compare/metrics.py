"""Metrics of the difference between two arrays, computed on the host in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_tt.compare.dtypes import epsilon, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Array = np.ndarray[Any, Any]

CHUNK = 1 << 20
"""Elements converted to float64 at a time, so that a large leaf needs little extra memory."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Metrics of one pair of arrays of one shape.

    pcc, rel_l2 and max_abs cover the elements that are finite on both sides. pcc is None if
    correlation is undefined: a single element, or an expected array that is constant to the rounding of
    the coarser dtype. rel_l2 is the RMS of the error if the expected values are all zero.
    """

    size: int
    unequal: int
    pcc: float | None
    rel_l2: float
    max_abs: float
    rms_expected: float
    bad_actual: int
    bad_expected: int
    first_bad: int | None

    @property
    def finite(self) -> bool:
        """Whether neither side has a NaN or Inf."""
        return self.bad_actual == 0 and self.bad_expected == 0


def as_real(array: Array) -> Array:
    """Complex numbers with one more axis (real, imaginary); anything else unchanged."""
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1)
    return array


def chunks(actual: Array, expected: Array) -> Iterator[tuple[int, Array, Array]]:
    """Flat start index and float64 copies of the same slice of both arrays."""
    flat_actual, flat_expected = np.ravel(actual), np.ravel(expected)
    for start in range(0, flat_actual.size, CHUNK):
        stop = start + CHUNK
        yield (
            start,
            flat_actual[start:stop].astype(np.float64),
            flat_expected[start:stop].astype(np.float64),
        )


def measure(actual: Array, expected: Array) -> Numbers:
    """Metrics of two real arrays of the same shape, in two passes over the data.

    The first pass computes the means, the second the centred sums, so that PCC is accurate for values that vary
    little around a large mean. Float64 values too large or too small to be squared are scaled to 1 first.
    """
    with np.errstate(all="ignore"):
        return _measure(actual, expected)


def _measure(actual: Array, expected: Array) -> Numbers:
    count, bad_actual, bad_expected, first_bad = 0, 0, 0, None
    means: list[tuple[int, float, float]] = []
    low, high, peak = math.inf, -math.inf, 0.0
    for start, a, e in chunks(actual, expected):
        finite_a, finite_e = np.isfinite(a), np.isfinite(e)
        good = finite_a & finite_e
        if not good.all():
            bad_actual += int(a.size - finite_a.sum())
            bad_expected += int(e.size - finite_e.sum())
            if first_bad is None:
                first_bad = start + int(np.argmin(good))
            a, e = a[good], e[good]
        if a.size == 0:
            continue
        count += a.size
        low, high = min(low, float(e.min())), max(high, float(e.max()))
        peak = max(peak, float(np.abs(a).max()), abs(low), abs(high))
        means.append((a.size, float((a / a.size).sum()), float((e / e.size).sum())))
    unit = peak if peak and not 1e-100 < peak < 1e100 else 1.0
    mean_a = math.fsum(n / count * (a_mean / unit) for n, a_mean, _ in means)
    mean_e = math.fsum(n / count * (e_mean / unit) for n, _, e_mean in means)

    aa, ee, ae, norm, error = [], [], [], [], []
    max_abs = 0.0
    for _, a, e in chunks(actual, expected):
        good = np.isfinite(a) & np.isfinite(e)
        a, e = a[good] / unit, e[good] / unit
        difference = a - e
        norm.append(float(np.dot(e, e)))
        error.append(float(np.dot(difference, difference)))
        if difference.size:
            max_abs = max(max_abs, float(np.abs(difference).max()))
        a -= mean_a
        e -= mean_e
        aa.append(float(np.dot(a, a)))
        ee.append(float(np.dot(e, e)))
        ae.append(float(np.dot(a, e)))

    rounding = max(epsilon(actual.dtype), epsilon(expected.dtype))
    constant = count < 2 or (high - low) <= rounding * max(abs(low), abs(high))
    length = math.sqrt(math.fsum(norm))
    distance = math.sqrt(math.fsum(error))
    root = math.sqrt(max(1, count))
    rel_l2 = distance / length if length > 0.0 else distance * unit / root
    return Numbers(
        size=int(actual.size),
        unequal=_unequal(actual, expected),
        pcc=None if constant else _correlation(math.fsum(aa), math.fsum(ee), math.fsum(ae)),
        rel_l2=rel_l2,
        max_abs=max_abs * unit,
        rms_expected=length * unit / root,
        bad_actual=bad_actual,
        bad_expected=bad_expected,
        first_bad=first_bad,
    )


def _correlation(aa: float, ee: float, ae: float) -> float:
    """Pearson correlation of centred sums; 0.0 if actual does not vary."""
    spread = math.sqrt(aa) * math.sqrt(ee)
    if spread == 0.0:
        return 0.0
    return max(-1.0, min(1.0, ae / spread))


def _unequal(actual: Array, expected: Array) -> int:
    """Elements that are not equal, compared in their own dtypes (int64 keeps its last bits)."""
    exact = kind_of(actual.dtype) in ("integer", "bool") and kind_of(expected.dtype) in ("integer", "bool")
    flat_actual, flat_expected = np.ravel(actual), np.ravel(expected)
    count = 0
    for start in range(0, flat_actual.size, CHUNK):
        a, e = flat_actual[start : start + CHUNK], flat_expected[start : start + CHUNK]
        if not exact or a.dtype.kind == "V" or e.dtype.kind == "V":
            a, e = a.astype(np.float64), e.astype(np.float64)
        count += int(np.count_nonzero(a != e))
    return count


def top_agreement(actual: Array, expected: Array, k: int, mask: Array | None = None) -> float | None:
    """Share of rows (last axis) whose actual argmax is among the k largest expected values.

    An expected tie counts for each of its members. Only elements where `mask` (bool, of the arrays' shape) is true
    can be chosen, and rows without any do not count. None without an axis to choose along.
    """
    if actual.ndim == 0 or actual.shape[-1] < 2 or actual.size == 0:
        return None
    width = actual.shape[-1]
    rows_a, rows_e = actual.reshape(-1, width), expected.reshape(-1, width)
    rows_m = None if mask is None else mask.reshape(-1, width)
    step = max(1, CHUNK // width)
    hits = rows = 0
    for start in range(0, rows_a.shape[0], step):
        a = rows_a[start : start + step].astype(np.float64)
        e = rows_e[start : start + step].astype(np.float64)
        if rows_m is not None:
            shown = rows_m[start : start + step]
            some = shown.any(axis=-1)
            a, e = (np.where(shown, x, -np.inf)[some] for x in (a, e))
        rows += len(a)
        chosen = np.take_along_axis(e, np.argmax(a, axis=-1)[:, None], axis=-1)
        hits += int(np.count_nonzero((e > chosen).sum(axis=-1) < k))
    return hits / rows
