"""Softmax and norms as the chip's kernels compose them of steps of the matrix and vector units.

Source: `softmax.cpp` and `layernorm.cpp` of tt-metal's normalization kernels as ttnn 0.81.1 ships them. A step's result
goes through a buffer, which holds float32 where the destination register does (`fp32_dest_acc`), else bfloat16; the
next step reads TF32 or bfloat16 of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from pytest_tt.emulator import activations, chip_sums, formats, matrix_unit, vector_unit

if TYPE_CHECKING:
    from pytest_tt.emulator.compute_config import ComputeConfig


def softmax(x: Any, axis: int, config: ComputeConfig, stable: bool) -> Any:
    """Over `axis`; without `stable` the largest element is not subtracted."""
    wide = config.fp32_dest_acc
    x = jnp.moveaxis(x, axis, -1)
    x = formats.truncate(x, 10 if wide else 7)
    if stable:
        x = matrix_unit.add(x, -x.max(-1, keepdims=True), wide)
    function = activations.exp_approximate if config.approximate else vector_unit.exp
    powers = _buffered(function(x, wide), wide)
    inverse = _buffered(1 / chip_sums.rows(powers, _element(wide), config), wide)
    return jnp.moveaxis(_multiply(powers, inverse, config), -1, axis)


def norm(x: Any, weight: Any, bias: Any, epsilon: float, config: ComputeConfig, centred: bool) -> Any:
    """Layer norm (`centred`) or RMS norm over the last axis; `weight` and `bias` may be None."""
    wide = config.fp32_dest_acc
    share = 1 / x.shape[-1]
    if centred:
        x = matrix_unit.add(x, -_mean(x, share, config), wide)
    variance = _mean(_multiply(x, x, config), share, config)
    shifted = matrix_unit.add(variance, _buffered(jnp.float32(epsilon), wide), wide)
    x = _multiply(x, _buffered(vector_unit.rsqrt(shifted, wide), wide), config)
    if weight is not None:
        x = _multiply(x, weight, config)
    return x if bias is None else matrix_unit.add(x, bias, wide)


def _mean(x: Any, share: float, config: ComputeConfig) -> Any:
    """The sum of rows is scaled by the vector unit."""
    wide = config.fp32_dest_acc
    return _buffered(chip_sums.rows(x, _element(wide), config) * jnp.float32(share), wide)


def _multiply(a: Any, b: Any, config: ComputeConfig) -> Any:
    return matrix_unit.multiply(a, b, matrix_unit.PHASES[config.fidelity], config.fp32_dest_acc)


def _element(wide: bool) -> str:
    return "f32" if wide else "bf16"


def _buffered(x: Any, wide: bool) -> Any:
    return x if wide else formats.bf16(x)
