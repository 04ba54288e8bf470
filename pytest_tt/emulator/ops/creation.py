"""Tensors that are made: filled with a value, counted up, constants. Their device, if the op names one, is None."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from pytest_tt.emulator.attributes import Dense
from pytest_tt.emulator.elements import dtype_of
from pytest_tt.emulator.ops.unknown_memory import unknown
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import integer, integers, number

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


def _filled(step: Step, value: int | float) -> jax.Array:
    """With -1 where the tensor holds unsigned integers: all bits."""
    return jnp.full(integers(step, "shape"), np.asarray(value).astype(dtype_of(step.result)))


@meaning("full", attributes="fill_value shape")
def full(step: Step, device: None = None) -> jax.Array:
    """Filled with `fill_value`."""
    return _filled(step, number(step, "fill_value"))


@meaning("zeros", attributes="shape")
def zeros(step: Step, device: None = None) -> jax.Array:
    """Filled with 0."""
    return _filled(step, 0)


@meaning("ones", attributes="shape")
def ones(step: Step, device: None = None) -> jax.Array:
    """Filled with 1."""
    return _filled(step, 1)


@meaning("empty", attributes="shape")
def empty(step: Step, device: None = None) -> jax.Array:
    """Nothing is written: what is in it, is not known."""
    return jnp.full(integers(step, "shape"), unknown(dtype_of(step.result)))


@meaning("arange", attributes="start end step")
def arange(step: Step, device: None = None) -> jax.Array:
    """From `start` to before `end`, by `step`: as many as the result has elements."""
    start, end, by = (integer(step, name) for name in ("start", "end", "step"))
    counted = np.arange(start, end, by).astype(dtype_of(step.result))
    if counted.size != step.result.size:
        raise step.error(f"arange({start}, {end}, {by}) has {counted.size} elements, the result {step.result.size}")
    return jnp.asarray(counted.reshape(step.result.shape))


@meaning("constant", attributes="value")
def constant(step: Step, device: None = None) -> jax.Array:
    """The values in the text."""
    value = step.attributes.get("value")
    if not isinstance(value, Dense):
        raise step.error(f"attribute value is {value!r}: expected dense<…>")
    return jnp.asarray(value.array().astype(dtype_of(step.result)))
