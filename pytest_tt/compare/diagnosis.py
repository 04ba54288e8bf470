"""Guesses at why two arrays differ: each is checked on the values before it is reported."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

LARGEST = 1 << 24
"""Number of elements above which guesses that need whole float64 copies are skipped."""
LONGEST_AXIS = 1024
"""Axis length above which no permutation is searched for (the search is quadratic)."""


def diagnose(actual: Array, expected: Array) -> list[str]:
    """Explanations for the difference of two real arrays of one shape, the likeliest first; may be empty.

    An explanation counts if it removes nine tenths of the error.
    """
    if actual.size > LARGEST or actual.size < 2:
        return []
    with np.errstate(all="ignore"):
        a, e = actual.astype(np.float64), expected.astype(np.float64)
        if not (np.isfinite(a).all() and np.isfinite(e).all()):
            return []
        found = _zeros(a, e) or _scale_or_offset(a, e) or _transposed(a, e) or _reordered(a, e)
        return found or _rounded(actual, expected)


def diagnose_shapes(actual: Array, expected: Array) -> list[str]:
    """Explanations for two different shapes; may be empty."""
    got, want = actual.shape, expected.shape
    if actual.size == expected.size and actual.size <= LARGEST:
        with np.errstate(all="ignore"):
            a, e = actual.astype(np.float64), expected.astype(np.float64)
            near = 0.2 * float(np.linalg.norm(e))
            if got != want and a.ndim == e.ndim <= 4:
                for axes in itertools.permutations(range(a.ndim)):
                    turned = a.transpose(axes)
                    if turned.shape == want and float(np.linalg.norm(turned - e)) <= near:
                        return [f"actual.transpose{axes} agrees with expected: the axes are in another order"]
            if float(np.linalg.norm(a.reshape(want) - e)) <= near:
                return ["the values agree once actual is reshaped: only the shape is wrong"]
        return []
    if len(got) == len(want):
        other = [axis for axis in range(len(got)) if got[axis] != want[axis]]
        if len(other) == 1:
            axis = other[0]
            if got[axis] and want[axis] % got[axis] == 0:
                return [
                    f"axis {axis} has 1/{want[axis] // got[axis]} of the expected length: "
                    f"one chip's shard instead of the whole array?"
                ]
            if want[axis] and got[axis] % want[axis] == 0:
                return [
                    f"axis {axis} has {got[axis] // want[axis]} times the expected length: "
                    f"gathered over an axis that was not sharded?"
                ]
    return []


def _explains(candidate: Array, a: Array, e: Array, closeness: float | None = None) -> bool:
    """Whether `candidate` (near `e`) removes nine tenths of the error, and comes near enough to `e`."""
    left = float(np.linalg.norm(candidate - e))
    if closeness is not None and left > closeness * float(np.linalg.norm(e)):
        return False
    return left <= 0.1 * float(np.linalg.norm(a - e))


def _zeros(a: Array, e: Array) -> list[str]:
    if a.any():
        return []
    return ["every actual value is 0: was the output ever written?"] if e.any() else []


def _scale_or_offset(a: Array, e: Array) -> list[str]:
    error = float(np.linalg.norm(a - e))
    offset = float((a - e).mean())
    if float(np.linalg.norm(a - e - offset)) <= 0.1 * error:
        return [f"actual = expected {offset:+.6g}: a constant is added or missing (a bias?)"]
    if np.ptp(e) == 0.0:
        return []
    factor = float((a * e).sum() / (e * e).sum())
    centre = e - e.mean()
    slope = float((a * centre).sum() / (centre * centre).sum())
    shift = float(a.mean() - slope * e.mean())
    left = float(np.linalg.norm(a - factor * e))
    left_shifted = float(np.linalg.norm(a - slope * e - shift))
    if factor and left <= 0.1 * error and (left <= 1e-6 * error or left_shifted > 0.1 * left):
        return [f"actual = {factor:.6g} x expected{_factor_meaning(factor)}"]
    if slope and left_shifted <= 0.1 * error:
        return [f"actual = {slope:.6g} x expected {shift:+.6g}: scale and offset differ, the pattern agrees"]
    return []


def _factor_meaning(factor: float) -> str:
    if abs(factor + 1.0) < 1e-3:
        return ": the sign is flipped"
    guesses = {"a sum over {} chips done once too often?": factor, "a missing sum over {} chips?": 1.0 / factor}
    for text, value in guesses.items():
        if 1.5 < value < 65 and abs(value - round(value)) < 2e-3 * value:
            return ": " + text.format(round(value))
    return ""


def _transposed(a: Array, e: Array) -> list[str]:
    for first, second in itertools.combinations(range(a.ndim), 2):
        if a.shape[first] == a.shape[second] > 1 and _explains(np.swapaxes(a, first, second), a, e):
            return [f"axes {first} and {second} are swapped: actual is transposed"]
    return []


def _reordered(a: Array, e: Array) -> list[str]:
    for axis in dict.fromkeys((0, a.ndim - 1)):
        length = a.shape[axis]
        if not 2 <= length <= LONGEST_AXIS:
            continue
        rows_a = np.moveaxis(a, axis, 0).reshape(length, -1)
        rows_e = np.moveaxis(e, axis, 0).reshape(length, -1)
        order = _match(rows_a, rows_e)
        # Short rows match by chance, so they must be closer.
        closeness = 1e-3 if rows_a.shape[1] < 8 else 0.05
        same_place = order == np.arange(length)
        if same_place.all() or not _explains_rows(rows_a, rows_e, order, closeness):
            continue
        return [
            f"the same values in another order along axis {axis}"
            f"{' (a shuffled batch?)' if axis == 0 else ' (shards joined in another order?)'}: "
            f"{_order_text(order)}"
        ]
    return []


def _explains_rows(rows_a: Array, rows_e: Array, order: Array, closeness: float) -> bool:
    left = float(np.linalg.norm(rows_a - rows_e[order]))
    return left <= min(0.1 * float(np.linalg.norm(rows_a - rows_e)), closeness * float(np.linalg.norm(rows_e)))


def _match(rows_a: Array, rows_e: Array) -> Array:
    """For each actual row the nearest expected row, each used once."""
    length, width = rows_a.shape
    order = np.empty(length, dtype=np.int64)
    if width == 1:
        order[np.argsort(rows_a[:, 0], kind="stable")] = np.argsort(rows_e[:, 0], kind="stable")
        return order
    columns = np.linspace(0, width - 1, min(width, 256)).astype(np.int64)
    some_a, some_e = rows_a[:, columns], rows_e[:, columns]
    distance = (some_e**2).sum(axis=1)[None, :] - 2.0 * (some_a @ some_e.T)
    for row in range(length):
        order[row] = int(np.argmin(distance[row]))
        distance[:, order[row]] = np.inf
    return order


def _order_text(order: Array) -> str:
    length = len(order)
    shift = int(order[0])
    if (order == (np.arange(length) + shift) % length).all():
        return f"actual[i] = expected[(i + {shift}) % {length}], a roll by {shift}"
    if (order == np.arange(length)[::-1]).all():
        return "reversed"
    shown = ", ".join(str(int(index)) for index in order[:8])
    return f"actual[0:{min(8, length)}] = expected[{shown}]"


def _rounded(actual: Array, expected: Array) -> list[str]:
    """Float32 values that are all bfloat16 numbers went through bfloat16 on their way."""
    if actual.dtype != np.float32 or expected.dtype != np.float32:
        return []

    def is_short(array: Array) -> bool:
        return not (np.ascontiguousarray(array).view(np.uint32) & 0xFFFF).any()

    if is_short(actual) and not is_short(expected):
        return ["every actual value is a bfloat16 number: float32 was rounded to bfloat16 on the way"]
    return []
