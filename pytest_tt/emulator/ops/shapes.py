"""Ops that move elements about and compute nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import axis, integer, integers, number

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


@meaning("reshape", attributes="shape")
def reshape(step: Step, x: jax.Array) -> jax.Array:
    """The same elements, row by row, in another shape."""
    return x.reshape(integers(step, "shape"))


@meaning("permute", attributes="permutation pad_value")
def permute(step: Step, x: jax.Array) -> jax.Array:
    """Axis k of the result is axis ``permutation[k]``; `pad_value` is what tiles are filled up with."""
    return x.transpose(integers(step, "permutation", x.ndim))


@meaning("transpose", attributes="dim0 dim1")
def transpose(step: Step, x: jax.Array) -> jax.Array:
    """Two axes exchanged."""
    return jnp.swapaxes(x, axis(step, "dim0", x.ndim), axis(step, "dim1", x.ndim))


@meaning("concat", attributes="dim")
def concat(step: Step, *arrays: jax.Array) -> jax.Array:
    """One after the other along an axis."""
    return jnp.concatenate(arrays, axis(step, "dim", arrays[0].ndim))


@meaning("pad", attributes="padding value")
def pad(step: Step, x: jax.Array) -> jax.Array:
    """`padding` holds the number of elements before and after of each axis; what is below 0 is cut off."""
    sizes = integers(step, "padding", 2 * x.ndim)
    low_high_between = [(low, high, 0) for low, high in zip(sizes[::2], sizes[1::2], strict=True)]
    return lax.pad(x, jnp.asarray(number(step, "value", 0), x.dtype), low_high_between)


@meaning("repeat", attributes="repeat_dims")
def repeat(step: Step, x: jax.Array) -> jax.Array:
    """The whole tensor as often as `repeat_dims` says, along each axis."""
    return jnp.tile(x, integers(step, "repeat_dims"))


@meaning("repeat_interleave", attributes="repeats dim")
def repeat_interleave(step: Step, x: jax.Array) -> jax.Array:
    """Each element `repeats` times beside itself."""
    return jnp.repeat(x, integer(step, "repeats"), axis=axis(step, "dim", x.ndim))
