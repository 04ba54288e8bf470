"""What the tests of the comparison share: values, one leaf, and the text of a failure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np

from pytest_tt.compare import Comparison, compare

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

BF16 = np.dtype(ml_dtypes.bfloat16)


def values(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def one(actual: Array, expected: Array, **settings: Any) -> Comparison:
    return compare({"y": actual}, {"y": expected}, **settings)


def failure(comparison: Comparison) -> str:
    """The text of a comparison that has to fail, fit for 100 columns; lines of a paragraph joined."""
    assert not comparison.passed
    assert comparison.metrics()["verdict"] == "fail"
    text = comparison.text()
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "--tt-golden-update" in text
    return re.sub(r"\n {8,}(?=[a-z])", " ", text)
