"""Numbers of the comparison, against the plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import failure, one, values

from pytest_tt.compare import compare
from pytest_tt.compare.bounds import Bounds
from pytest_tt.compare.metrics import CHUNK, measure, top_agreement


@pytest.mark.parametrize("seed", range(12))
def test_metrics_against_the_plain_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(2, 30, size=int(rng.integers(1, 4))))
    scale, offset = 10.0 ** rng.integers(-6, 6), 10.0 ** rng.integers(-3, 3)
    expected = (rng.normal(size=shape) * scale + offset * scale).astype(np.float32)
    actual = (expected + rng.normal(size=shape) * scale * 10.0 ** rng.integers(-3, 1)).astype(np.float32)
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    numbers = measure(actual, expected)
    assert numbers.pcc == pytest.approx(np.corrcoef(a.ravel(), e.ravel())[0, 1], rel=1e-9)
    assert numbers.rel_l2 == pytest.approx(np.linalg.norm(a - e) / np.linalg.norm(e), rel=1e-12)
    assert numbers.max_abs == np.abs(a - e).max()
    assert numbers.unequal == np.count_nonzero(a != e)


@pytest.mark.parametrize("seed", range(8))
def test_pcc_is_never_above_one_and_keeps_its_symmetries(seed: int) -> None:
    x = values(int(np.random.default_rng(seed).integers(2, 200)), seed=seed)
    for factor in (1.0, 0.1, 3.0, 1e-20, 1e20):
        pcc = measure((x * np.float32(factor)).astype(np.float32), x).pcc
        assert pcc is not None
        assert 1.0 - 1e-6 < pcc <= 1.0
        assert measure(-x, x).pcc == pytest.approx(-1.0)
    y = values(x.size, seed=seed + 100)
    forwards, backwards = measure(x, y).pcc, measure(y, x).pcc
    assert forwards == pytest.approx(backwards, rel=1e-12)


def test_small_variation_around_a_large_mean() -> None:
    x = 1e6 + values(1000, dtype=np.float64)
    y = 1e6 + values(1000, seed=1, dtype=np.float64)
    assert measure(y, x).pcc == pytest.approx(np.corrcoef(y - 1e6, x - 1e6)[0, 1], rel=1e-6)


def test_extreme_float64_values_do_not_overflow() -> None:
    for scale in (1e300, 1e-300):
        x = values(50, dtype=np.float64) * scale
        assert measure(x, x).pcc == pytest.approx(1.0)
        assert measure(x * 1.01, x).rel_l2 == pytest.approx(0.01)


def test_chunks_add_up_and_strides_do_not_matter() -> None:
    expected = values(3, CHUNK // 2 + 11)
    actual = expected + values(*expected.shape, seed=1) * np.float32(0.1)
    numbers, turned = measure(actual, expected), measure(actual.T, expected.T)
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    assert numbers.pcc == pytest.approx(np.corrcoef(a.ravel(), e.ravel())[0, 1], rel=1e-9)
    assert turned.pcc == pytest.approx(numbers.pcc, rel=1e-9)
    actual[2, -1] = np.nan
    assert measure(actual, expected).first_bad == actual.size - 1
    misses = one(actual, expected).leaves[0].misses
    assert misses is not None
    assert misses.worst[0].index == (2, expected.shape[1] - 1)


def test_top_agreement() -> None:
    expected = np.array([[9, 8, 7, 6, 5, 4, 3], [1, 2, 3, 4, 5, 6, 7], [5, 5, 0, 0, 0, 0, 0]], np.float32)
    actual = expected.copy()
    actual[0, 4] = 10  # the fifth becomes the first
    actual[2, 1] = 6  # the expected tie counts for both
    assert top_agreement(actual, expected, 1) == pytest.approx(2 / 3)
    assert top_agreement(actual, expected, 5) == 1.0
    actual[1, 0] = 10  # the last becomes the first
    assert top_agreement(actual, expected, 1) == pytest.approx(1 / 3)
    assert top_agreement(actual, expected, 5) == pytest.approx(2 / 3)
    for rank in range(7):  # the actual argmax is the expected value of this rank
        chosen = np.eye(7, dtype=np.float32)[None, rank]
        assert top_agreement(chosen, expected[:1], 1) == float(rank < 1)
        assert top_agreement(chosen, expected[:1], 5) == float(rank < 5)
    assert top_agreement(np.float32(1.0).reshape(()), np.float32(1.0).reshape(()), 1) is None


def test_top_agreement_is_shown_for_logits_and_judged_where_asked() -> None:
    x = values(10, 20)
    y = x.copy()
    y[0, int(x[0].argmin())] = x.max() + 1
    actual, expected = {"head/logits": y, "hidden": x}, {"head/logits": x, "hidden": x}
    assert compare({"hidden": x}, {"hidden": x}).metrics()["top1"] is None
    loose = Bounds(rel_l2=1.0, reason="only the ranks count here")
    comparison = compare(actual, expected, bounds=loose)
    assert comparison.passed
    assert comparison.metrics()["top1"] == comparison.metrics()["top5"] == 0.9
    asked = Bounds(rel_l2=1.0, top1=0.95, reason="only the ranks count here")
    text = failure(compare(actual, expected, bounds=asked))
    assert "FAIL  top1    0.9          >= 0.95" in text
    # Without a leaf named logits, every float leaf is asked.
    assert not compare({"scores": y}, {"scores": x}, bounds=asked).passed


def test_top_agreement_of_leaves_without_an_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="top1 is asked for, but no float leaf has a last axis of 2 or more: loss"):
        compare({"loss": np.float32(1.0).reshape(())}, {"loss": np.float32(1.0).reshape(())}, bounds=Bounds(top1=1.0))
