"""The distribution of a leaf's errors: a count for each power of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_tt.compare.metrics import chunks

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

EQUAL = "equal"
NOT_FINITE = "not finite"
LOWEST, HIGHEST = -20, 20
"""The first and last decade include all smaller and larger errors, so that a histogram stays short."""


def error_decades(actual: Array, expected: Array) -> dict[str, int]:
    """How many elements of two real arrays of one shape are off by how much; empty classes are omitted.

    The class ``"-7"`` holds errors from 1e-7 up to 1e-6, `EQUAL` no error, `NOT_FINITE` elements that are NaN or Inf
    on either side.
    """
    counts: dict[int, int] = {}
    equal, not_finite = 0, 0
    with np.errstate(all="ignore"):
        for _, a, e in chunks(actual, expected):
            finite = np.isfinite(a) & np.isfinite(e)
            not_finite += int(a.size - finite.sum())
            distance = np.abs(a[finite] - e[finite])
            off = distance[distance > 0]
            equal += int(distance.size - off.size)
            decades = np.clip(np.floor(np.log10(off)), LOWEST, HIGHEST).astype(np.int64)
            for decade, count in zip(*np.unique(decades, return_counts=True), strict=True):
                counts[int(decade)] = counts.get(int(decade), 0) + int(count)
    spread = {EQUAL: equal, **{str(decade): counts[decade] for decade in sorted(counts)}, NOT_FINITE: not_finite}
    return {name: count for name, count in spread.items() if count}
