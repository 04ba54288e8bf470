"""Masks of a comparison: what padding holds counts in no metric, and nothing is hidden by mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from pytest_tt.compare import Comparison, compare
from pytest_tt.golden import Golden, GoldenChecker, GoldenError, load, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    RunTT = Callable[..., pytest.RunResult]

REAL = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])
"""An attention mask [batch, length]."""


def logits(seed: int = 0) -> np.ndarray:
    values: np.ndarray = np.random.default_rng(seed).normal(size=(2, 4, 8)).astype(np.float32)
    return values


def padded(fill: float, at: np.ndarray = REAL) -> np.ndarray:
    """Right where `at` is 1, `fill` in the padding."""
    return np.where(at[..., None] != 0, logits(), np.float32(fill))


def masked(actual: np.ndarray, mask: Any, expected: np.ndarray | None = None, **options: Any) -> Comparison:
    wanted = logits() if expected is None else expected
    return compare({"logits": actual}, {"logits": wanted}, masks=[{"logits": np.asarray(mask)}], **options)


@pytest.mark.parametrize("fill", [0.0, 1e6, np.nan, np.inf])
def test_padding_does_not_count(fill: float) -> None:
    assert not compare({"logits": padded(fill)}, {"logits": logits()}).passed
    found = masked(padded(fill), REAL)
    assert found.passed
    metrics = found.metrics()
    assert (metrics["rel_l2"], metrics["max_abs"], metrics["top1"], metrics["top5"]) == (0.0, 0.0, 1.0, 1.0)
    facts = found.leaf_facts()["logits"]
    assert facts["counted"] == 5 * 8
    assert facts["errors"] == {"equal": 5 * 8}


def test_metrics_are_those_of_what_counts() -> None:
    actual = padded(100.0)
    actual[0, 1] += np.float32(0.01)
    keep = REAL != 0
    whole = compare({"logits": actual[keep]}, {"logits": logits()[keep]})
    part = masked(actual, REAL)
    assert part.metrics() == whole.metrics()
    assert not part.passed


def test_failure_says_what_counts_and_keeps_places() -> None:
    actual = padded(100.0)
    actual[1, 1, 3] = 9.0
    text = masked(actual, REAL).text()
    assert "40 of 64 elements counted" in text
    assert "1 of 40 elements (2.5%) are off" in text
    assert "(1, 1, 3)" in text
    assert "(0, 3," not in text
    actual[1, 1, 3] = np.nan
    assert "actual holds 1 NaN or Inf in 40 elements; the first is at (1, 1, 3)" in masked(actual, REAL).text()


def test_forms_of_a_mask() -> None:
    rows = np.array([True, False])
    assert masked(padded(7.0, np.array([[1] * 4, [0] * 4])), rows).passed, "the first axis alone"
    columns = np.ones((1, 1, 8), bool)
    columns[..., 5:] = False  # words that pad the vocabulary
    wide = logits()
    wide[..., 5:] = 50.0
    found = masked(wide, columns)
    assert found.passed
    assert found.metrics()["top1"] == 1.0
    assert found.leaf_facts()["logits"]["counted"] == 2 * 4 * 5
    assert "counted" not in masked(logits(), np.ones((2, 4), int)).leaf_facts()["logits"], "it hides nothing"
    both = compare(
        {"logits": padded(3.0)}, {"logits": logits()}, masks=[{"logits": REAL != 0}, {"logits": np.ones((2, 4), bool)}]
    )
    assert both.passed, "what one of two masks hides does not count"


@pytest.mark.parametrize("dtype", [np.complex64, np.int32, ml_dtypes.bfloat16, np.bool_])
def test_other_dtypes(dtype: Any) -> None:
    expected = np.arange(8).reshape(2, 4).astype(dtype)
    actual = np.where(REAL != 0, expected, np.ones((), dtype) * np.asarray(3).astype(dtype))
    assert not compare({"x": actual}, {"x": expected}).passed or dtype is np.bool_
    found = compare({"x": actual}, {"x": expected}, masks=[{"x": REAL}])
    assert found.passed
    assert found.leaf_facts()["x"]["counted"] == 5
    actual[0, 0] = 1
    assert not compare({"x": actual}, {"x": expected}, masks=[{"x": REAL}]).passed


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (np.zeros((2, 4), bool), "mask of 'logits' hides all 64 elements: nothing is left to compare"),
        (np.ones((2, 3), bool), "mask of 'logits' has shape (2, 3), the leaf (2, 4, 8): expected the leaf's first"),
        (np.ones((2, 4, 8, 1), bool), "mask of 'logits' has shape (2, 4, 8, 1)"),
        (np.full((2, 4), 0.0), "mask of 'logits' holds float64: expected bools, or integers 0 and 1"),
        (np.full((2, 4), 2), "mask of 'logits' holds 2: expected bools, or integers 0 and 1"),
    ],
)
def test_masks_that_do_not_fit(mask: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        masked(logits(), mask)
    assert text in str(caught.value)


def test_mask_of_no_leaf() -> None:
    with pytest.raises(ValueError) as caught:
        compare({"logits": logits()}, {"logits": logits()}, masks=[{"logit": REAL}])
    assert str(caught.value) == "mask of 'logit': no leaf has that name: expected one of logits"


def golden(**more: Any) -> Golden:
    return Golden(
        inputs={"attention_mask": REAL},
        outputs={"logits": padded(np.nan)},
        info={"reference": {"implementation": "numpy"}},
        masks={"logits": REAL},
        **more,
    )


def test_stored_in_the_golden(tmp_path: Path) -> None:
    path = tmp_path / "case.safetensors"
    assert save(path, golden())
    found = load(path)
    np.testing.assert_array_equal(found.masks["logits"], REAL != 0)
    np.testing.assert_array_equal(found.outputs["logits"], padded(0.0))  # hidden elements are not recorded
    assert not save(path, golden()), "the same bytes"
    broken = Golden(outputs={"logits": logits()}, info=golden().info, masks={"pooled": REAL})
    with pytest.raises(GoldenError) as caught:
        save(path, broken)
    assert f"{path}: mask of 'pooled': no leaf has that name: expected one of logits" in str(caught.value)
    with pytest.raises(GoldenError) as caught:
        save(path, Golden(outputs={"logits": padded(np.nan)}, info=golden().info))
    assert "holds NaN or Inf" in str(caught.value)
    assert load(path).masks, "nothing was written over"


def test_checker_uses_both(tmp_path: Path) -> None:
    save(tmp_path / "case.safetensors", golden())
    check = GoldenChecker(
        directory=tmp_path, default_case="case", backend="sim", update=False, record=lambda kind, facts: None
    )
    check({"logits": padded(5.0)})
    check(padded(5.0), masks=REAL)
    wrong = padded(5.0)
    wrong[1, 0] = 8.0
    with pytest.raises(pytest.fail.Exception) as caught:
        check({"logits": wrong})
    assert "40 of 64 elements counted" in str(caught.value)
    check({"logits": wrong}, masks={"logits": np.array([True, False])})
    with pytest.raises(pytest.fail.Exception) as caught:
        check({"logits": logits()}, masks={"logits": np.array([[0, 0, 0, 1], [0, 0, 1, 1]])})
    problem = "masks of 'logits', stored and given, together hide all 64 elements: nothing is left to compare"
    assert str(caught.value) == f"golden 'case': {problem}"


def test_recorded_and_reported(run_tt: RunTT, pytester: pytest.Pytester) -> None:
    """From the reference's mask to the results document."""
    pytester.makepyfile(
        """
        import numpy as np
        from pytest_tt import Golden

        REAL = np.array([[1, 1, 0]])
        X = np.arange(6, dtype=np.float32).reshape(1, 3, 2)

        def reference():
            info = {"reference": {"implementation": "numpy"}}
            return Golden(inputs={"x": X}, outputs={"y": 2 * X}, info=info, masks={"y": REAL})

        def test_padded(tt_jit, tt_golden):
            golden = tt_golden.load("padded", reference=reference)
            y = tt_jit(lambda x: 2 * x)(golden.inputs["x"])
            tt_golden({"y": y.at[:, 2].set(np.nan)}, "padded")
        """
    )
    recording = run_tt("--tt-golden-update")
    recording.stdout.fnmatch_lines(["*golden recorded: golden/padded.safetensors*"])
    result = run_tt("--tt-results", "results.json")
    result.assert_outcomes(passed=1)
    from pytest_tt.results.reading import read_document

    (row,) = read_document(pytester.path / "results.json").rows.values()
    assert row.metrics["padded"]["leaves"]["y"]["counted"] == 4
