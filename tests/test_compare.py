"""Verdicts of the comparison: what passes, what fails, and what the text tells."""

from __future__ import annotations

import json
import math
import re

import ml_dtypes
import numpy as np
import pytest
from comparing import BF16, failure, one, values

from pytest_tt.compare import compare
from pytest_tt.compare.bounds import Bounds


def test_equal_values_pass_on_both_backends() -> None:
    x = values(4, 8)
    for backend in ("sim", "hw"):
        comparison = one(x, x.copy(), backend=backend)
        assert comparison.passed
        assert comparison.metrics() == {
            "pcc": pytest.approx(1.0, abs=1e-15), "rel_l2": 0.0, "max_abs": 0.0, "top1": None, "top5": None,
            "leaf": "y", "verdict": "pass",
        }  # fmt: skip


def test_factor_of_1_01_fails_though_pcc_is_1() -> None:
    x = values(8, 40)
    comparison = one(x * np.float32(1.01), x)
    text = failure(comparison)
    assert comparison.metrics()["pcc"] == pytest.approx(1.0, abs=1e-12)
    assert comparison.metrics()["rel_l2"] == pytest.approx(0.01, rel=1e-3)
    assert "FAIL  y  float32 (8, 40)" in text
    assert "hint: actual = 1.01 x expected\n" in text
    assert "320 of 320 elements (100%) are off" in text
    assert "<= 1e-05" in text
    assert "default of sim float32" in text


def test_scale_guard_catches_what_pcc_does_not_see() -> None:
    x = values(8, 40)
    assert one(x * np.float32(1.15), x, backend="hw").passed
    comparison = one(x * np.float32(1.25), x, backend="hw")
    text = failure(comparison)
    assert "pass  pcc     1.00000000   >= 0.99" in text
    assert "FAIL  rel_l2  0.25" in text
    assert one(x * np.float32(1.25), x, backend="hw", bounds=Bounds(rel_l2=0.3, reason="scale is free here")).passed


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("backend", ["sim", "hw"])
def test_one_nan_or_inf_never_passes(bad: float, backend: str) -> None:
    x = values(6, 7)
    y = x.copy()
    y[2, 3] = bad
    comparison = one(y, x, backend=backend)
    text = failure(comparison)
    assert "actual holds 1 NaN or Inf in 42 elements; the first is at (2, 3)" in text
    assert re.search(rf"\n +\(2, 3\) +{bad} ", text)
    assert "the finite elements agree" in text
    assert comparison.metrics()["pcc"] is None
    json.dumps(comparison.metrics(), allow_nan=False)


def test_nan_in_the_golden_never_passes_not_even_against_nan() -> None:
    x = values(6, 7)
    x[0, 0] = np.nan
    assert "the golden itself is broken" in failure(one(values(6, 7), x))
    assert "the golden itself is broken" in failure(one(x, x))
    assert "the golden itself is broken" in failure(one(x.astype(BF16), x, backend="hw"))


def test_all_nan_fails_without_a_metric() -> None:
    comparison = one(np.full((3, 3), np.nan, np.float32), values(3, 3))
    assert "actual holds 9 NaN or Inf" in failure(comparison)


def test_one_wrong_element_in_a_million() -> None:
    expected = values(1000, 1000)
    actual = expected.copy()
    actual[500, 7] += 1
    comparison = one(actual, expected)
    text = failure(comparison)
    assert comparison.metrics()["pcc"] > 0.999999  # type: ignore[operator]
    assert "1 of 1,000,000 elements (0.0001%) are off" in text
    assert "(500, 7)" in text
    assert "(500, 8)" not in text
    # Under the bounds of the chips only max_abs sees it.
    assert one(actual, expected, backend="hw").passed
    assert "FAIL  max_abs 1 " in failure(one(actual, expected, backend="hw", bounds=Bounds(max_abs=0.5)))


@pytest.mark.parametrize("backend", ["sim", "hw"])
def test_shuffled_batch(backend: str) -> None:
    x = values(8, 40)
    order = np.array([1, 0, 2, 6, 3, 7, 4, 5])
    text = failure(one(x[order], x, backend=backend))
    assert "in another order along axis 0 (a shuffled batch?)" in text
    assert "expected[1, 0, 2, 6, 3, 7, 4, 5]" in text


def test_constant_leaf_is_judged_by_error() -> None:
    two = np.full((3, 4), 2.0, np.float32)
    assert one(two, two, backend="hw").passed
    assert one(two * np.float32(1.1), two, backend="hw").passed
    noisy = (two + values(3, 4) * 0.01).astype(np.float32)
    assert one(noisy, two, backend="hw").passed, "noise on a constant has no correlation, and needs none"
    text = failure(one(two * np.float32(1.15), two, backend="hw"))
    assert "a constant leaf has no correlation" in text
    assert "<= 0.141067" in text
    assert not one(two * np.float32(1.0001), two).passed
    assert one(two * np.float32(1.15), two, backend="hw", bounds=Bounds(rel_l2=0.2)).passed, "an explicit bound is kept"


def test_constant_actual_for_varying_expected_fails() -> None:
    x = values(8, 8)
    comparison = one(np.full_like(x, x.mean()), x, backend="hw")
    failure(comparison)
    assert comparison.metrics()["pcc"] == 0.0


def test_single_element_is_judged_by_error() -> None:
    for shape in ((), (1,), (1, 1)):
        expected = np.full(shape, 3.0, np.float32)
        assert one(expected * np.float32(1.1), expected, backend="hw").passed
        assert not one(expected * np.float32(1.2), expected, backend="hw").passed
        assert not one(expected * np.float32(1.1), expected).passed
        assert one(expected * np.float32(1.1), expected, backend="hw").metrics()["pcc"] is None


def test_all_zero_expected_is_judged_by_the_rms_of_the_error() -> None:
    zeros = np.zeros((4, 4), np.float32)
    assert one(zeros, zeros).passed
    assert one(zeros + np.float32(1e-6), zeros).passed
    comparison = one(zeros + np.float32(0.5), zeros)
    assert comparison.metrics()["rel_l2"] == 0.5
    assert "expected is all 0, so this is the RMS of the error" in failure(comparison)


def test_all_zero_actual_says_so() -> None:
    x = values(4, 4)
    assert "every actual value is 0" in failure(one(np.zeros_like(x), x, backend="hw"))


def test_missing_and_unexpected_leaves_are_all_listed() -> None:
    x = values(2, 2)
    expected = {"kept": x, **{f"gone_{i}": x for i in range(15)}}
    comparison = compare({"kept": x, "new_a": x, "new_b": x}, expected)
    text = failure(comparison)
    assert comparison.missing == tuple(sorted(f"gone_{i}" for i in range(15)))
    assert comparison.unexpected == ("new_a", "new_b")
    assert "missing (15): " in text
    assert all(f"gone_{i}" in text for i in range(15))
    assert "unexpected (2): new_a, new_b" in text
    assert "ok    kept" in text


@pytest.mark.parametrize("factor", [1.0, 1.01, math.nan])
def test_unexplained_verdicts_are_the_same(factor: float) -> None:
    x = values(8, 40)
    pair = {"y": x * np.float32(factor)}, {"y": x}
    told, only_verdict = compare(*pair), compare(*pair, explain=False)
    assert (only_verdict.passed, only_verdict.metrics()) == (told.passed, told.metrics())
    (leaf,), (bare,) = told.leaves, only_verdict.leaves
    assert (bare.checks, bare.problem) == (leaf.checks, leaf.problem)
    assert bare.misses is None
    assert bare.hints == ()


def test_nothing_to_compare_never_passes() -> None:
    assert "nothing to compare" in failure(compare({}, {}))
    empty = np.zeros((0, 3), np.float32)
    failure(one(empty, empty))
    assert compare({"e": empty, "y": values(2)}, {"e": empty, "y": values(2)}).passed


def test_shape_mismatch_fails_even_where_it_would_broadcast() -> None:
    x = values(4, 1)
    text = failure(one(np.repeat(x, 3, axis=1), x))
    assert "shape is (4, 3), expected (4, 1)" in text


def test_bfloat16_leaf() -> None:
    x = values(8, 40)
    comparison = one(x.astype(BF16), x)
    assert comparison.passed
    assert comparison.metrics()["rel_l2"] == pytest.approx(0.0017, rel=0.1)
    noisy = (x + values(8, 40, seed=1) * np.float32(0.3)).astype(BF16)
    text = failure(one(noisy, x))
    assert "FAIL  y  bfloat16 (8, 40), expected in float32" in text
    assert "default of sim bfloat16" in text
    # The dtype of the actual leaf chooses: float32 against a bfloat16 golden keeps the tight bound.
    text = failure(one(x, x.astype(BF16)))
    assert "needs a golden in float32" in text


def test_float32_that_went_through_bfloat16() -> None:
    x = values(8, 40)
    text = failure(one(x.astype(BF16).astype(np.float32), x))
    assert "float32 was rounded to bfloat16 on the way" in text


@pytest.mark.parametrize("backend", ["sim", "hw"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool", "int4"])
def test_integers_and_bools_must_be_equal(backend: str, dtype: str) -> None:
    x = np.arange(6).astype(ml_dtypes.int4 if dtype == "int4" else dtype)
    assert one(x, x.copy(), backend=backend).passed
    y = x.copy()
    y[0] = 1
    text = failure(one(y, x, backend=backend, bounds=Bounds(rel_l2=10.0, max_abs=10.0, reason="only for floats")))
    assert "FAIL  unequal 1" in text
    assert "1 of 6 elements (16.7%) are not equal" in text


def test_integers_beyond_float64_are_compared_exactly() -> None:
    x = np.array([2**62, 5], np.int64)
    y = x + np.array([1, 0])
    text = failure(one(y, x))
    assert "1 of 2 elements (50%) are not equal" in text
    assert str(2**62 + 1) in text


def test_integer_widths_may_differ_but_not_the_kind() -> None:
    x = np.arange(6, dtype=np.int32)
    assert one(x, x.astype(np.int64)).passed
    assert "dtype is int32, expected float32" in failure(one(x, x.astype(np.float32)))
    assert "dtype is float32, expected int32" in failure(one(x.astype(np.float32), x))


def test_complex_numbers_are_compared_in_both_parts() -> None:
    x = (values(4, 4) + 1j * values(4, 4, seed=1)).astype(np.complex64)
    assert one(x, x.copy()).passed
    assert not one(x.conj(), x).passed


def test_worst_leaf_decides() -> None:
    x = values(8, 8)
    actual = {"a": x, "b": x * np.float32(1.5), "c": x * np.float32(1.001)}
    comparison = compare(actual, dict.fromkeys(actual, x))
    text = failure(comparison)
    assert comparison.worst is not None
    assert comparison.worst.name == "b"
    assert comparison.metrics()["leaf"] == "b"
    assert text.index("FAIL  b") < text.index("FAIL  c") < text.index("ok    a")
    assert "2 of 3 leaves differ" in text


def test_many_failing_leaves_are_all_named() -> None:
    x = values(3, 3)
    names = [f"leaf_{i:02}" for i in range(30)]
    text = failure(compare(dict.fromkeys(names, x + 1), dict.fromkeys(names, x)))
    assert all(f"FAIL  {name}" in text for name in names)
    assert len(text.splitlines()) < 100


def test_at_most_ten_worst_elements_the_worst_first() -> None:
    x = values(5, 50)
    comparison = one(x + np.arange(250, dtype=np.float32).reshape(5, 50), x)
    failure(comparison)
    misses = comparison.leaves[0].misses
    assert misses is not None
    assert [element.index for element in misses.worst] == [(4, 49 - i) for i in range(10)]
    assert misses.worst[0].difference == pytest.approx(249)


def test_metrics_are_plain_json() -> None:
    metrics = compare({"logits": values(4, 8)}, {"logits": values(4, 8)}).metrics()
    assert {type(value) for value in metrics.values()} <= {float, str, type(None)}
    assert json.loads(json.dumps(metrics)) == metrics


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="backend 'gpu' is unknown: expected 'sim' or 'emu' or 'hw'"):
        one(values(2), values(2), backend="gpu")


def test_value_next_to_its_bound_shows_every_digit() -> None:
    x = np.array([1.0, 2.0, 3.0], np.float64)
    y = x * (1 + 1e-5 * (1 + 1e-9))
    text = failure(one(y, x))
    assert "FAIL  rel_l2  1.0000000" in text
