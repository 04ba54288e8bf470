"""What products compute, with their flags, biases and activations, against NumPy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated

from pytest_tt.emulator.builds import BuildMeaning
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.numerics import CHIP

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3, 8)).astype(np.float32), RNG.standard_normal((8, 5)).astype(np.float32)
BIAS = RNG.standard_normal(5).astype(np.float32)
CONFIG = "compute_config = #ttnn.device_compute_kernel_config<math_fidelity = {}, fp32_dest_acc_en = true>"
PLAIN = "transpose_a = false, transpose_b = false"
TYPES = "(tensor<2x3x8xf32>, tensor<8x5xf32>) -> tensor<2x3x5xf32>"
LINEAR = "(tensor<2x3x8xf32>, tensor<8x5xf32>, tensor<5xf32>) -> tensor<2x3x5xf32>"
PROGRAM = (
    "matmul_program_config = #ttnn.matmul_multi_core_reuse_multi_cast_1d_program_config<compute_with_storage_grid_size "
    "= #ttnn.core_coord<8, 8>, in0_block_w = 1, fuse_batch = true, fused_activation = {}, mcast_in0 = true>"
)


def product(attributes: str = PLAIN, **settings: Any) -> np.ndarray:
    return np.asarray(emulated("matmul", attributes, TYPES, jnp.asarray(A), jnp.asarray(B), **settings))


def error(found: np.ndarray) -> float:
    expected = A.astype(np.float64) @ B
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_batches_are_broadcast() -> None:
    assert error(product()) < 1e-6


def test_transposed() -> None:
    types = "(tensor<8x3xf32>, tensor<5x8xf32>) -> tensor<3x5xf32>"
    attributes = "transpose_a = true, transpose_b = true"
    found = emulated("matmul", attributes, types, jnp.asarray(A[0].T), jnp.asarray(B.T))
    np.testing.assert_allclose(found, A[0] @ B, rtol=1e-5, atol=1e-6)


def test_bias_comes_before_the_activation() -> None:
    attributes = f'{PLAIN}, activation = "relu"'
    found = emulated("linear", attributes, LINEAR, jnp.asarray(A), jnp.asarray(B), jnp.asarray(BIAS))
    np.testing.assert_allclose(found, np.maximum(A @ B + BIAS, 0), rtol=1e-5, atol=1e-6)
    without = emulated("linear", PLAIN, TYPES, jnp.asarray(A), jnp.asarray(B))
    np.testing.assert_allclose(without, A @ B, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gelu", ["erf", "tanh"])
def test_the_gelu_that_the_build_fuses(gelu: str) -> None:
    found = product(f'{PLAIN}, activation = "gelu"', build=BuildMeaning(known=True, fused_gelu=gelu))
    np.testing.assert_allclose(found, jax.nn.gelu(A @ B, approximate=gelu == "tanh"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["#ttnn.unary_with_param<op_type = relu>", "<op_type = relu>"])
def test_the_program_config_has_the_activation(text: str) -> None:
    found = product(f'{PLAIN}, activation = "silu", {PROGRAM.format(text)}')
    np.testing.assert_allclose(found, np.maximum(A @ B, 0), rtol=1e-5, atol=1e-6)


def test_fidelity_matters_on_the_chip_but_not_where_float32_is_asked_for() -> None:
    coarse = error(product(f"{PLAIN}, {CONFIG.format('lofi')}", numerics=CHIP))
    fine = error(product(f"{PLAIN}, {CONFIG.format('hifi4')}", numerics=CHIP))
    exact = error(product(f"{PLAIN}, ttcore.fp32_exact = true, {CONFIG.format('hifi4')}", numerics=CHIP))
    assert coarse > 4 * fine > 1e-4
    assert exact < 1e-6


def test_integers_are_an_error() -> None:
    types = "(tensor<2x2xsi32>, tensor<2x2xsi32>) -> tensor<2x2xsi32>"
    whole = jnp.ones((2, 2), jnp.int32)
    with pytest.raises(EmulationError, match="a product of si32 and si32: expected floating values"):
        emulated("matmul", PLAIN, types, whole, whole)
