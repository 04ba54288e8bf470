"""Ops that write into the cache of keys and values, [batch, heads, slots, width], in place.

jax-tt-plugin does not print them: `lax.dynamic_update_slice` becomes ``rows_scatter``. They are those of other builds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from pytest_tt.emulator.ops.unknown_memory import unknown
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import integer

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


@meaning("fill_cache", attributes="batch_offset", writes=0)
def fill_cache(step: Step, cache: jax.Array, values: jax.Array) -> jax.Array:
    """The cache with `values`, [1, heads, length, width], in the first slots of row `batch_offset` of the batch."""
    row = integer(step, "batch_offset")
    if values.shape[0] != 1 or not 0 <= row < cache.shape[0]:
        raise step.error(f"it fills row {row} of {cache.shape} with {values.shape}: expected one row that is there")
    return cache.at[row, :, : values.shape[2]].set(values[0].astype(cache.dtype))


@meaning("update_cache", attributes="batch_offset", writes=0)
def update_cache(step: Step, cache: jax.Array, values: jax.Array, slot: jax.Array) -> jax.Array:
    """The cache with `values`, [1, heads, batch, width], in one slot, `slot`, of all rows of the batch.

    With a slot that is not there other memory is written, so that nothing is known of the cache.
    """
    if integer(step, "batch_offset") != 0:
        raise step.error(f"batch_offset is {integer(step, 'batch_offset')}: expected 0")
    place = slot.reshape(-1)[0].astype(jnp.int32)
    rows = values.transpose(2, 1, 0, 3)[: cache.shape[0]].astype(cache.dtype)
    updated = lax.dynamic_update_slice_in_dim(cache, rows, place, axis=2)
    inside = (place >= 0) & (place < cache.shape[2])
    return jnp.where(inside, updated, jnp.asarray(unknown(cache.dtype), cache.dtype))
