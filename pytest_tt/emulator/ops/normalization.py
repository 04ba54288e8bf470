"""Softmax and the norms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from pytest_tt.emulator.compute_config import ComputeConfig
from pytest_tt.emulator.elements import element_of
from pytest_tt.emulator.ops.elementwise import activated
from pytest_tt.emulator.ops.operands import spread
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import flag, integer, number

if TYPE_CHECKING:
    from pytest_tt.emulator.step import Step


@meaning("softmax", attributes="dimension numericStable")
def softmax(step: Step, x: jax.Array) -> jax.Array:
    """Along `dimension`. If not `numericStable`, a chip does not subtract the largest first: large values overflow."""
    axis, stable = integer(step, "dimension") % x.ndim, flag(step, "numericStable", False)
    rows = jnp.atleast_2d(x)
    out: jax.Array = step.numerics.softmax(rows, axis + rows.ndim - x.ndim, step.elements[0], step.config, stable)
    return out.reshape(x.shape)


def _row(parameter: jax.Array | None) -> jax.Array | None:
    """A parameter of a norm in one row; sharded norms have it in rows of a tile's width."""
    return None if parameter is None else parameter.reshape(-1)


def _rms_norm(step: Step, x: jax.Array, weight: jax.Array | None, bias: jax.Array | None, epsilon: float) -> jax.Array:
    rows, element = jnp.atleast_2d(x), step.elements[0]
    normed: jax.Array = step.numerics.rms_norm(rows, _row(weight), _row(bias), epsilon, element, step.config)
    return normed.reshape(x.shape)


@meaning("rms_norm", attributes="epsilon")
def rms_norm(step: Step, *operands: jax.Array) -> jax.Array:
    """Over the last axis, with or without weight and bias."""
    x, weight, bias = spread(step, operands, 3)
    assert x is not None
    return _rms_norm(step, x, weight, bias, number(step, "epsilon", 1e-12))


@meaning("layer_norm", attributes="epsilon")
def layer_norm(step: Step, *operands: jax.Array) -> jax.Array:
    """Over the last axis, with or without weight and bias."""
    x, weight, bias = spread(step, operands, 3)
    assert x is not None
    rows, epsilon = jnp.atleast_2d(x), number(step, "epsilon", 1e-12)
    element = step.elements[0]
    normed: jax.Array = step.numerics.layer_norm(rows, _row(weight), _row(bias), epsilon, element, step.config)
    return normed.reshape(x.shape)


@meaning("rms_norm_residual", attributes="epsilon")
def rms_norm_residual(step: Step, x: jax.Array, around: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The RMS norm of the sum of `x` and what goes around it, and that sum, which is rounded before it is normalised.

    Source: rms_norm_residual.cpp of jax-tt-plugin 0.1.3, whose units always compute with hifi4 into float32. It
    multiplies by the weight first, which this does last.
    """
    given, (normed, total) = step.elements, step.results
    added = step.numerics.binary("add", x, around, (*given[:2], element_of(total)))
    added = step.numerics.store(added, element_of(total), computed=True)
    rows, config = jnp.atleast_2d(added), ComputeConfig("hifi4", fp32_dest_acc=True)
    found: jax.Array = step.numerics.rms_norm(
        rows, _row(weight), None, number(step, "epsilon", 1e-12), element_of(normed), config
    )
    return found.reshape(x.shape), added


@meaning("dit_rms_norm_unary_fused", attributes="epsilon activation")
def rms_norm_activated(step: Step, *operands: jax.Array) -> jax.Array:
    """The RMS norm of the sum with what goes around it, if there is one, and an activation of that."""
    x, weight, bias, around = spread(step, operands, 4)
    assert x is not None
    normed = _rms_norm(step, x if around is None else x + around, weight, bias, number(step, "epsilon", 1e-5))
    name = step.attributes.get("activation")
    if name is None:
        return normed
    if not isinstance(name, str):
        raise step.error(f"attribute activation is {name!r}: expected a name")
    element = element_of(step.result)
    return activated(step, name, normed, element, element)


@meaning("batch_norm_inference", attributes="epsilon")
def batch_norm_inference(step: Step, *operands: jax.Array) -> jax.Array:
    """With given mean and variance of each channel, the second axis."""
    x, mean, variance, weight, bias = spread(step, operands, 5)
    if x is None or mean is None or variance is None:
        raise step.error("batch_norm_inference without a mean or a variance is not known")
    channels = (1, -1) + (1,) * (x.ndim - 2)
    scale = jax.lax.rsqrt(variance + jnp.float32(number(step, "epsilon", 1e-5)))
    out = (x - mean.reshape(channels)) * scale.reshape(channels)
    if weight is not None:
        out = out * weight.reshape(channels)
    return out if bias is None else out + bias.reshape(channels)
