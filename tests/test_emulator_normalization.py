"""What softmax and norms compute, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated

from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.numerics import CHIP, EXACT, Numerics

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 8)) * 3
WEIGHT, BIAS = RNG.standard_normal(8), RNG.standard_normal(8)
NORM = "(tensor<2x3x8xf32>{}) -> tensor<2x3x8xf32>"


def run(name: str, attributes: str, types: str, *operands: Any, **settings: Any) -> np.ndarray:
    given = (jnp.asarray(operand, jnp.float32) for operand in operands)
    return np.asarray(emulated(name, attributes, types, *given, **settings))


def normed(x: np.ndarray, epsilon: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)


@pytest.mark.parametrize("axis", [2, 1, -1])
def test_softmax_along_its_axis(axis: int) -> None:
    powers = np.exp(X)
    found = run("softmax", f"dimension = {axis} : si32, numericStable = true", NORM.format(""), X)
    np.testing.assert_allclose(found, powers / powers.sum(axis, keepdims=True), rtol=1e-5)


def test_softmax_that_is_not_stable_overflows_on_the_chip() -> None:
    attributes = "dimension = 2 : si32, numericStable = {}"
    for stable, finite in (("true", True), ("false", False)):
        found = run("softmax", attributes.format(stable), NORM.format(""), X + 100, numerics=CHIP)
        assert np.isfinite(found).all() == finite
    found = run("softmax", attributes.format("false"), NORM.format(""), X + 100)
    np.testing.assert_allclose(found, np.exp(X) / np.exp(X).sum(-1, keepdims=True), rtol=1e-4)


def test_one_row() -> None:
    types = "(tensor<8xf32>) -> tensor<8xf32>"
    row, segments = X[0, 0], "epsilon = 0.5 : f32, operandSegmentSizes = array<i32: 1, 0, 0>"
    found = run("softmax", "dimension = 0 : si32, numericStable = true", types, row, numerics=CHIP)
    np.testing.assert_allclose(found, np.exp(row) / np.exp(row).sum(), rtol=2e-2)
    np.testing.assert_allclose(run("rms_norm", segments, types, row, numerics=CHIP), normed(row, 0.5), rtol=2e-2)
    found = run("layer_norm", segments, types, row, numerics=CHIP)
    np.testing.assert_allclose(found, normed(row - row.mean(), 0.5), rtol=2e-2, atol=1e-2)


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_norms_with_what_they_have(weight: bool, bias: bool) -> None:
    attributes = f"epsilon = 0.5 : f32, operandSegmentSizes = array<i32: 1, {int(weight)}, {int(bias)}>"
    types = NORM.format(", tensor<8xf32>" * (weight + bias))
    operands = [X, *[WEIGHT] * weight, *[BIAS] * bias]
    after = (WEIGHT if weight else 1, BIAS if bias else 0)
    found = run("rms_norm", attributes, types, *operands)
    np.testing.assert_allclose(found, normed(X, 0.5) * after[0] + after[1], rtol=1e-4, atol=1e-6)
    found = run("layer_norm", attributes, types, *operands)
    centred = X - X.mean(-1, keepdims=True)
    np.testing.assert_allclose(found, normed(centred, 0.5) * after[0] + after[1], rtol=1e-4, atol=1e-6)


def test_operand_sizes_that_do_not_fit_are_an_error() -> None:
    attributes = "epsilon = 0.5 : f32, operandSegmentSizes = array<i32: 1, 1, 1>"
    with pytest.raises(EmulationError, match=r"operandSegmentSizes is \(1, 1, 1\): expected 0 or 1 each, 2 in all"):
        run("rms_norm", attributes, NORM.format(", tensor<8xf32>"), X, WEIGHT)


def test_an_rms_norm_of_a_sum_with_an_activation() -> None:
    attributes = 'epsilon = 0.5 : f32, activation = "silu", operandSegmentSizes = array<i32: 1, 1, 0, 1>'
    types = NORM.format(", tensor<8xf32>, tensor<2x3x8xf32>")
    expected = normed(X + 1, 0.5) * WEIGHT
    found = run("dit_rms_norm_unary_fused", attributes, types, X, WEIGHT, np.ones_like(X))
    np.testing.assert_allclose(found, expected / (1 + np.exp(-expected)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("numerics", [EXACT, CHIP])
def test_an_rms_norm_of_a_sum_and_the_sum(numerics: Numerics) -> None:
    types = "(tensor<6x8xbf16>, tensor<6x8xbf16>, tensor<8xbf16>) -> (tensor<6x8xbf16>, tensor<6x8xbf16>)"
    given = (X.reshape(6, 8), X[::-1].reshape(6, 8), WEIGHT)
    x, around, weight = (np.asarray(jnp.asarray(a, jnp.bfloat16), np.float32) for a in given)
    found = emulated("rms_norm_residual", "epsilon = 0.5 : f32", types, x, around, weight, numerics=numerics)
    total = x + around
    np.testing.assert_allclose(found[1], total, rtol=0 if numerics is EXACT else 2**-8)
    np.testing.assert_allclose(found[0], normed(total, 0.5) * weight, rtol=1e-4 if numerics is EXACT else 2e-2)


def test_batch_norm_of_channels() -> None:
    x, (mean, bias), (variance, weight) = RNG.standard_normal((2, 3, 4, 4)), X[0, :2, :3], np.abs(X[1, :2, :3]) + 0.1
    attributes = "epsilon = 0.5 : f32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>"
    types = "(tensor<2x3x4x4xf32>" + ", tensor<1x3x1x1xf32>" * 4 + ") -> tensor<2x3x4x4xf32>"
    shape = (1, 3, 1, 1)
    parameters = [parameter.reshape(shape) for parameter in (mean, variance, weight, bias)]
    expected = (x - parameters[0]) / np.sqrt(parameters[1] + 0.5) * parameters[2] + parameters[3]
    np.testing.assert_allclose(run("batch_norm_inference", attributes, types, x, *parameters), expected, rtol=1e-4)
