"""Hints of a failed comparison: the right one where there is one, none where there is none."""

from __future__ import annotations

import numpy as np
from comparing import failure, one, values


def test_hints_name_the_explanation() -> None:
    x = values(8, 8)
    cases = {
        "a constant is added or missing": x + np.float32(0.5),
        "a sum over 4 chips done once too often?": x * 4,
        "a missing sum over 8 chips?": x / 8,
        "the sign is flipped": -x,
        "axes 0 and 1 are swapped": x.T,
        "actual = 3 x expected -0.25": 3 * x - np.float32(0.25),
        "a roll by 3": np.roll(x, -3, axis=1),
        "along axis 0 (a shuffled batch?): reversed": x[::-1],
    }
    for hint, actual in cases.items():
        assert hint in failure(one(actual, x)), hint


def test_hints_for_shapes() -> None:
    x = values(4, 6)
    cases = {
        "actual.transpose(1, 0) agrees with expected": x.T,
        "axis 1 has 1/2 of the expected length": x[:, :3],
        "axis 0 has 2 times the expected length": np.concatenate([x, x]),
        "agree once actual is reshaped": x.reshape(2, 12),
    }
    for hint, actual in cases.items():
        assert hint in failure(one(actual, x)), hint


def test_errors_of_one_shard_are_located() -> None:
    x = values(8, 16)
    y = x.copy()
    y[2:4, 4:8] += values(2, 4, seed=1)
    assert "all of them are in [2:4, 4:8]" in failure(one(y, x))


def test_no_hint_is_better_than_a_wrong_one() -> None:
    x = values(64, 64)
    for other in (values(64, 64, seed=1), x + values(64, 64, seed=2) * np.float32(0.1)):
        assert "hint" not in failure(one(other, x))
    # Two samples of one distribution look alike once sorted.
    assert "another order" not in failure(one(values(1000, seed=3), values(1000, seed=4)))
