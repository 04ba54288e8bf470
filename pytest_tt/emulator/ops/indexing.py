"""Ops that take parts of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from pytest_tt.emulator.ops.indexed_rows import positions
from pytest_tt.emulator.ops.unknown_memory import unknown
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import axis, flag, integers

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


@meaning("slice_static", attributes="begins ends step")
def slice_static(step: Step, x: jax.Array) -> jax.Array:
    """Every `step`-th element from `begins` up to before `ends`."""
    begins, ends, steps = (integers(step, name, x.ndim) for name in ("begins", "ends", "step"))
    for begin, end, size in zip(begins, ends, x.shape, strict=True):
        if not 0 <= begin <= end <= size:
            raise step.error(f"slice {begin}:{end} of an axis of {size}: expected a part of it")
    return lax.slice(x, begins, ends, steps)


@meaning("slice_dynamic", attributes="step")
def slice_dynamic(step: Step, x: jax.Array, begins: jax.Array, ends: jax.Array) -> jax.Array:
    """As `slice_static`, with bounds that are computed; the result's shape is known all the same.

    A slice that begins or ends outside is not moved back, as StableHLO would (the compiler does that before, or not at
    all): nothing is known of what is read.
    """
    steps = integers(step, "step", x.ndim) if step.attributes.get("step") else (1,) * x.ndim
    sizes = tuple((n - 1) * by + 1 if n else 0 for n, by in zip(step.result.shape, steps, strict=True))
    room = jnp.asarray([size - taken for size, taken in zip(x.shape, sizes, strict=True)], jnp.int32)
    begin = begins.astype(jnp.int32).reshape(-1)
    start = jnp.clip(begin, 0, room)
    taken = lax.dynamic_slice(x, tuple(start[k] for k in range(x.ndim)), sizes)
    taken = lax.slice(taken, (0,) * x.ndim, taken.shape, steps)
    return jnp.where((begin == start).all(), taken, jnp.asarray(unknown(x.dtype), x.dtype))


@meaning("gather", attributes="dim")
def gather(step: Step, x: jax.Array, index: jax.Array) -> jax.Array:
    """As `torch.gather`: the element of `x` that `index` names along the axis, at each place of `index`."""
    along = axis(step, "dim", x.ndim)
    size = x.shape[along]
    place = jnp.where((index >= 0) & (index < size), index, size).astype(jnp.int32)
    window = tuple(slice(None) if k == along else slice(n) for k, n in enumerate(index.shape))
    return jnp.take_along_axis(x[window], place, along, mode="fill", fill_value=unknown(x.dtype))


@meaning("rows_gather", attributes="column fill_out_of_bounds sizes windows")
def rows_gather(step: Step, table: jax.Array, index: jax.Array) -> jax.Array:
    """The rows, or the parts of rows, that the positions of `index` name, one after the other.

    A position outside is moved into the table, or gives zeros with `fill_out_of_bounds`.
    """
    at = positions(step, index)
    whole = table.reshape(*table.shape[:2], -1)
    batch = jnp.arange(table.shape[0])[:, None, None]
    if at.columns is None:
        found = whole[batch, at.rows]
    else:
        found = whole[batch[..., None], at.rows[..., None], at.columns[:, :, None, :]]
    if flag(step, "fill_out_of_bounds"):
        found = jnp.where(at.inside[:, :, None, None], found, jnp.zeros((), found.dtype))
    return found.reshape(step.result.shape)
