"""What reductions and running sums compute, against NumPy."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated

from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.numerics import CHIP

X = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
WHOLE = np.arange(24, dtype=np.int32).reshape(2, 3, 4) - 9


def reduced(name: str, x: Any, attributes: str, shape: str, kind: str = "f32", out: str = "") -> np.ndarray:
    types = f"(tensor<2x3x4x{kind}>) -> tensor<{shape}{out or kind}>"
    return np.asarray(emulated(name, attributes, types, jnp.asarray(x)))


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_over_axes(name: str) -> None:
    function = getattr(np, name)
    found = reduced(name, X, "dim_arg = [0 : i32, -1 : i32], keep_dim = false", "3x")
    np.testing.assert_allclose(found, function(X, (0, 2)), rtol=1e-6)
    found = reduced(name, X, "dim_arg = [1 : i32], keep_dim = true", "2x1x4x")
    np.testing.assert_allclose(found, function(X, 1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(reduced(name, X, "keep_dim = false", ""), function(X), rtol=1e-5)


def test_one_row() -> None:
    row, types = np.array([1.0, 2, 4], np.float32), "(tensor<3xbf16>) -> tensor<{}bf16>"
    for keep, shape in (("true", "1x"), ("false", "")):
        attributes = f"dim_arg = [0 : i32], keep_dim = {keep}"
        found = np.asarray(emulated("sum", attributes, types.format(shape), jnp.asarray(row), numerics=CHIP))
        assert found.shape == ((1,) if shape else ())
        assert float(found.sum()) == 7


def test_of_integers() -> None:
    attributes = "dim_arg = [2 : i32], keep_dim = false"
    np.testing.assert_array_equal(reduced("sum", WHOLE, attributes, "2x3x", "si32"), WHOLE.sum(2))
    np.testing.assert_array_equal(reduced("max", WHOLE, attributes, "2x3x", "si32"), WHOLE.max(2))
    large = np.full_like(WHOLE, np.iinfo(np.int32).max)
    assert (reduced("sum", large, attributes, "2x3x", "si32") == -4).all()
    with pytest.raises(EmulationError, match=r"mean of integers .si32. is not known"):
        reduced("mean", WHOLE, attributes, "2x3x", "si32")


def test_prod() -> None:
    found = reduced("prod", X, "dim_arg = 1 : si64, keep_dim = false", "2x4x")
    np.testing.assert_allclose(found, X.prod(1), rtol=1e-6)
    np.testing.assert_allclose(reduced("prod", X, "keep_dim = false", ""), X.prod(), rtol=1e-5)


def test_argmax_is_the_first_of_the_largest() -> None:
    x = np.zeros((2, 3, 4), np.float32)
    x[:, :, 1:3] = 5
    found = reduced("argmax", x, "dim = 2 : si32, keep_dim = true", "2x3x1x", out="ui32")
    assert found.dtype == np.uint32
    assert (found == 1).all()
    assert found.shape == (2, 3, 1)
    assert int(reduced("argmax", X, "keep_dim = false", "", out="ui32")) == X.argmax()


def test_running() -> None:
    np.testing.assert_allclose(reduced("cumsum", X, "dim = 1 : si32", "2x3x4x"), X.cumsum(1), rtol=1e-5)
    np.testing.assert_allclose(reduced("cumprod", X, "dim = -1 : si32", "2x3x4x"), X.cumprod(2), rtol=1e-5)
    most = "dim = 2 : si32, reduction = #ttcore.reduce_type<max>, reverse = {}"
    found = reduced("cumulative", X, most.format("false"), "2x3x4x")
    np.testing.assert_array_equal(found, np.maximum.accumulate(X, 2))
    found = reduced("cumulative", X, most.format("true"), "2x3x4x")
    np.testing.assert_array_equal(found, np.maximum.accumulate(X[..., ::-1], 2)[..., ::-1])
