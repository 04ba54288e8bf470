"""Ops that order the elements along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import axis, flag, integer

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


@meaning("sort", attributes="dim descending stable")
def sort(step: Step, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sorted elements, and where they were. Equal ones keep their order: the kernel's own, where it is not stable,
    is not known."""
    along = axis(step, "dim", x.ndim)
    order = jnp.argsort(x, axis=along, stable=True, descending=flag(step, "descending", default=False))
    return jnp.take_along_axis(x, order, axis=along), order


@meaning("topk", attributes="dim k largest sorted")
def topk(step: Step, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The `k` largest or smallest elements, the first of them first, and where they were."""
    along = axis(step, "dim", x.ndim)
    order = jnp.argsort(x, axis=along, stable=True, descending=flag(step, "largest", default=True))
    order = lax.slice_in_dim(order, 0, integer(step, "k"), axis=along)
    return jnp.take_along_axis(x, order, axis=along), order
