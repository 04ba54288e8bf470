"""Bounds: defaults, what may change them, and what needs a reason."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from comparing import BF16, failure, one, values

from pytest_tt.compare import compare
from pytest_tt.compare.bounds import Bounds, constant_guard, default_bounds, merge

if TYPE_CHECKING:
    from typing import Any


def test_default_bounds() -> None:
    for dtype in (np.float32, np.float64):
        assert default_bounds("sim", np.dtype(dtype)) == Bounds(rel_l2=1e-5)
        assert default_bounds("hw", np.dtype(dtype)) == Bounds(pcc=0.99, rel_l2=0.2)
    for dtype in (BF16, np.dtype(np.float16), np.dtype(ml_dtypes.float8_e4m3fn)):
        for backend in ("sim", "hw"):
            assert default_bounds(backend, dtype) == Bounds(pcc=0.99, rel_l2=0.2)
    assert constant_guard(0.99) == pytest.approx(0.141067, rel=1e-5)


@pytest.mark.parametrize(
    ("backend", "loose"),
    [
        ("sim", {"rel_l2": 1e-3}),
        ("hw", {"pcc": 0.98}),
        ("hw", {"rel_l2": 0.5}),
        ("sim", {"pcc": 0.9}),  # no default there, but it would loosen the chips' one
    ],
)
def test_loosening_needs_a_reason(backend: str, loose: dict[str, float]) -> None:
    x = values(4, 4)
    with pytest.raises(ValueError, match=r'test: .*looser than the bound .*: add reason="why"'):
        one(x, x, backend=backend, bounds=Bounds(**loose))
    with pytest.raises(ValueError, match=r"golden: .*looser"):
        one(x, x, backend=backend, recorded=Bounds(**loose))
    assert one(x, x, backend=backend, bounds=Bounds(**loose, reason="sums of 10,000 terms")).passed


def test_tightening_needs_no_reason() -> None:
    x = values(4, 40)
    y = x + values(4, 40, seed=1) * np.float32(0.05)
    assert one(y, x, backend="hw").passed
    assert not one(y, x, backend="hw", bounds=Bounds(pcc=0.9999)).passed
    text = failure(one(y, x, backend="hw", bounds=Bounds(rel_l2=1e-3)))
    assert "choose the bound by tt_run.backend" in text
    assert not one(x * np.float32(1 + 8e-6), x, bounds=Bounds(rel_l2=1e-6)).passed


def test_bounds_of_test_lie_over_those_of_golden() -> None:
    x = values(4, 40)
    y = x * np.float32(1.0005)
    golden = Bounds(rel_l2=1e-3, reason="float16 weights upstream")
    assert one(y, x, recorded=golden).passed
    text = failure(one(y, x, recorded=golden, bounds=Bounds(rel_l2=1e-4)))
    assert "<= 0.0001" in text
    with pytest.raises(ValueError, match=r"test: rel_l2=0\.01 is looser than the bound 0\.001"):
        one(y, x, recorded=golden, bounds=Bounds(rel_l2=1e-2))
    assert "float16 weights upstream" in failure(one(y * 2, x, recorded=golden))


def test_bounds_of_floats_do_not_touch_integers() -> None:
    x = np.arange(4)
    actual = {"ids": x, "y": values(4)}
    assert compare(actual, actual, bounds=Bounds(max_abs=1e-4)).passed
    assert not compare({**actual, "ids": x + 1}, actual, bounds=Bounds(max_abs=5.0, reason="large values")).passed


def test_merge_keeps_what_is_not_overridden() -> None:
    assert merge(Bounds(pcc=0.99, rel_l2=0.2), Bounds(max_abs=1.0, pcc=0.999)) == Bounds(
        pcc=0.999, rel_l2=0.2, max_abs=1.0
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"pcc": 1.5}, r"pcc=1\.5 is out of range"),
        ({"rel_l2": -1.0}, "rel_l2=-1"),
        ({"rel_l2": math.inf}, "rel_l2=inf"),
        ({"max_abs": math.nan}, "max_abs=nan"),
        ({"top1": 2.0}, "top1=2"),
        ({"pcc": "high"}, "pcc='high' is not a number"),
        ({"reason": "  "}, "reason is empty"),
    ],
)
def test_bad_bounds_are_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bounds(**bad)


def test_bounds_from_json() -> None:
    flat = {"rel_l2": 1e-3, "reason": "why"}
    assert Bounds.from_json(flat, "hw") == Bounds(rel_l2=1e-3, reason="why")
    assert Bounds.from_json({"sim": flat}, "sim") == Bounds(rel_l2=1e-3, reason="why")
    assert Bounds.from_json({"sim": flat}, "hw") == Bounds()
    for bad in ([1], {"atol": 1.0}, {"sim": 3}):
        with pytest.raises(ValueError, match="bounds"):
            Bounds.from_json(bad, "sim")


def test_loosened_pcc_takes_the_scale_guard_along() -> None:
    x = values(40, 40)
    y = x + values(40, 40, seed=1) * np.float32(0.3)
    loose = Bounds(pcc=0.94, reason="8-bit weights")
    assert not one(y, x, backend="hw").passed
    assert one(y, x, backend="hw", bounds=loose).passed
    assert "scale guard beside pcc >= 0.94" in failure(one(y * np.float32(1.6), x, backend="hw", bounds=loose))
    # It goes back once a test tightens what the golden loosened, and never touches float32 on simulated chips.
    assert "<= 0.2 " in failure(one(y, x, backend="hw", recorded=loose, bounds=Bounds(pcc=0.99)))
    assert "<= 1e-05" in failure(one(y, x, bounds=loose))
