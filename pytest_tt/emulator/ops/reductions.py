"""Sums, means, extrema and products over axes, and what runs along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from pytest_tt.emulator.elements import dtype_of
from pytest_tt.emulator.ops.elementwise import integral
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import flag, integer, integers, word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tt.emulator.step import Step

# Of integers: as wide as they are held, what is over is cut off.
_INTEGER: dict[str, Callable[..., jax.Array]] = {
    "sum": lambda x, axis: jnp.sum(x, axis, dtype=x.dtype, keepdims=True),
    "max": lambda x, axis: jnp.max(x, axis, keepdims=True),
    "min": lambda x, axis: jnp.min(x, axis, keepdims=True),
    "prod": lambda x, axis: jnp.prod(x, axis, dtype=x.dtype, keepdims=True),
}
_RUNNING: dict[str, Callable[..., jax.Array]] = {
    "sum": jax.lax.cumsum,
    "prod": jax.lax.cumprod,
    "max": jax.lax.cummax,
    "min": jax.lax.cummin,
}


def _reduced(step: Step, name: str, x: jax.Array, axes: Sequence[int]) -> jax.Array:
    axes = tuple(sorted(axis % x.ndim for axis in axes))
    if not integral(x):
        rows = jnp.atleast_2d(x)  # a chip has at least rows and columns
        more = rows.ndim - x.ndim
        shifted = tuple(axis + more for axis in axes)
        out: jax.Array = step.numerics.reduce(name, rows, shifted, step.elements[0], step.config)
        out = out.reshape([1 if axis in axes else size for axis, size in enumerate(x.shape)])
    elif name in _INTEGER:
        out = _INTEGER[name](x, axes)
    else:
        raise step.error(f"{name} of integers ({step.elements[0]}) is not known")
    return out if flag(step, "keep_dim", False) else jnp.squeeze(out, axes)


def _reduction(name: str) -> None:
    def compute(step: Step, x: jax.Array) -> jax.Array:
        axes = integers(step, "dim_arg") if "dim_arg" in step.attributes else range(x.ndim)
        return _reduced(step, name, x, axes)

    meaning(name, attributes="dim_arg keep_dim")(compute)


for _name in ("sum", "mean", "max", "min"):
    _reduction(_name)


@meaning("prod", attributes="dim_arg keep_dim")
def prod(step: Step, x: jax.Array) -> jax.Array:
    """Over the axis `dim_arg`, or over all."""
    return _reduced(step, "prod", x, [integer(step, "dim_arg")] if "dim_arg" in step.attributes else range(x.ndim))


@meaning("argmax", attributes="dim keep_dim")
def argmax(step: Step, x: jax.Array) -> jax.Array:
    """The number of the first of the largest, along `dim` or of all elements in a row."""
    axis = integer(step, "dim") if "dim" in step.attributes else None
    return jnp.argmax(x, axis, keepdims=flag(step, "keep_dim", False)).astype(dtype_of(step.result))


def _running(name: str, x: jax.Array, axis: int, reverse: bool = False) -> jax.Array:
    return _RUNNING[name](x, axis % x.ndim, reverse)


@meaning("cumsum", attributes="dim")
def cumsum(step: Step, x: jax.Array) -> jax.Array:
    """Along `dim`."""
    return _running("sum", x, integer(step, "dim"))


@meaning("cumprod", attributes="dim")
def cumprod(step: Step, x: jax.Array) -> jax.Array:
    """Along `dim`."""
    return _running("prod", x, integer(step, "dim"))


@meaning("cumulative", attributes="dim reduction reverse")
def cumulative(step: Step, x: jax.Array) -> jax.Array:
    """Along `dim`, from its end if `reverse`: ``sum``, ``prod``, ``max`` or ``min`` of all up to each element."""
    return _running(word(step, "reduction", _RUNNING), x, integer(step, "dim"), flag(step, "reverse", False))
