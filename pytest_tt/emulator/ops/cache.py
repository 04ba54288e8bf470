"""Ops that write into the cache of keys and values, [batch, heads, slots, width], in place.

``tt.fill_cache`` and ``tt.update_cache`` become ``fill_cache`` and ``paged_update_cache``, which also takes a cache
without a table of pages. Which slots are written: tt-metal's writer_update_cache_interleaved_start_id.cpp and
writer_fill_cache_interleaved.cpp. A paged cache is [pages, heads, slots of a page, width]; a row of its table holds the
pages of a row of the batch, in the order of its positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from pytest_tt.emulator.ops.unknown_memory import unknown
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import flag, integer

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step

_TILE = 32  # slots that an update reads and writes again
_HEADS = 32  # of one tile: more the kernel does not read
_SKIPPED = -1
"""Stands for a position, or a page, of which nothing is written."""


@meaning("fill_cache", attributes="batch_offset", writes=0)
def fill_cache(step: Step, cache: jax.Array, values: jax.Array) -> jax.Array:
    """The cache with `values`, [1, heads, length, width], in the first slots of row `batch_offset` of the batch.

    Whole tiles are copied. The compiler pads `values` to them itself, in an op of its own.
    """
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
    rows = values.transpose(2, 1, 0, 3)[: cache.shape[0]]
    if len(rows) != cache.shape[0]:
        raise step.error(f"it has values for {len(rows)} rows: expected {cache.shape[0]}, as the cache has")
    return _updated(step, cache, rows, jnp.broadcast_to(slot.reshape(-1)[:1], (len(rows),)), jnp.arange(len(rows)))


@meaning("paged_update_cache", attributes="share_cache", writes=0)
def paged_update_cache(
    step: Step, cache: jax.Array, values: jax.Array, positions: jax.Array, table: jax.Array | None = None
) -> jax.Array:
    """The cache with `values`, [1, batch, heads, width], at `positions`, one for each row; nothing for position -1.

    With a `table` of pages, [batch, pages], of those; with `share_cache` all rows write into the only one of the cache.
    With a position that is not there other memory is written, so that nothing is known of the cache.
    """
    shared = flag(step, "share_cache", False)
    rows, count = jnp.swapaxes(values, 0, 1)[:, 0, :, None], values.shape[1]
    heads, slots = cache.shape[1:3]
    if rows.shape[1] < heads or heads > _HEADS:
        raise step.error(f"values of {rows.shape[1]} heads for a cache of {heads}: expected as many, at most {_HEADS}")
    rows = rows[:, :heads]
    if positions.shape != (count,):
        raise step.error(f"positions of shape {positions.shape}: expected one for each of {count} rows")
    if table is not None:
        if shared:
            raise step.error("share_cache with a table of pages: expected one of them")
        place = positions.astype(jnp.int32)
        page = jnp.clip(place // slots, 0, table.shape[1] - 1)
        pages = jnp.take_along_axis(table.astype(jnp.int32), page[:, None], 1)[:, 0]
        inside = (place >= 0) & (place < table.shape[1] * slots) & (pages >= 0) & (pages < cache.shape[0])
        place = jnp.where(inside, place % slots, jnp.where(place == _SKIPPED, _SKIPPED, slots))
        return _updated(step, cache, rows, place, pages)
    expected = 1 if shared else count
    if cache.shape[0] != expected:
        raise step.error(f"values for {count} rows of a cache of {cache.shape[0]}: expected {expected}")
    return _updated(step, cache, rows, positions, jnp.zeros(count, jnp.int32) if shared else jnp.arange(count))


@meaning("paged_fill_cache", writes=0)
def paged_fill_cache(
    step: Step, cache: jax.Array, values: jax.Array, table: jax.Array, which: jax.Array | None = None
) -> jax.Array:
    """The cache with `values`, [batch, heads, length, width], from position 0 on, in the pages of `table`.

    `which` says for each row of `values` the row of the table, else there is one of each. Page -1 is left out.
    """
    count, heads, length, _ = values.shape
    if heads != cache.shape[1] or (which is None and count != 1):
        raise step.error(f"it fills {cache.shape} with {values.shape}: expected the same heads, and one row or which")
    slots = cache.shape[2]
    rows = jnp.zeros(1, jnp.int32) if which is None else which.reshape(-1).astype(jnp.int32)
    if len(rows) != count or length > table.shape[1] * slots:
        raise step.error(f"{len(rows)} rows of {table.shape[1]} pages of {slots} slots for values of {values.shape}")
    at = jnp.arange(length)
    pages = jnp.take(table.astype(jnp.int32), rows, 0, mode="fill", fill_value=len(cache))[:, at // slots]
    known = ((pages >= _SKIPPED) & (pages < len(cache))).all()
    target = jnp.where(pages == _SKIPPED, len(cache), pages)
    filled = cache.at[target, :, at[None] % slots].set(values.swapaxes(1, 2).astype(cache.dtype), mode="drop")
    return jnp.where(known, filled, jnp.asarray(unknown(cache.dtype), cache.dtype))


def _updated(step: Step, cache: jax.Array, rows: jax.Array, places: jax.Array, pages: jax.Array) -> jax.Array:
    """`cache` with each of `rows`, [heads, 1, width], in slot `places` of its part `pages`, one after the other.

    A chip reads the tile with the slot, changes the row in it and writes it again, in registers of 16 bits
    (tt-metal's paged_update_cache_program_factory.cpp; the runtime asks for no others).
    """
    slots, element = jnp.arange(cache.shape[2])[:, None], step.elements[0]
    places, pages = places.astype(jnp.int32), pages.astype(jnp.int32)

    def write(number: jax.Array, cache: jax.Array) -> jax.Array:
        place, page = places[number], pages[number]
        part = cache[page]
        changed = jnp.where(slots == place, rows[number].astype(cache.dtype), part)
        touched = slots // _TILE == place // _TILE
        return cache.at[page].set(jnp.where(touched, step.numerics.copied(changed, element), part))

    written = lax.fori_loop(0, len(rows), write, cache)
    inside = ((places >= _SKIPPED) & (places < cache.shape[2])).all()
    return jnp.where(inside, written, jnp.asarray(unknown(cache.dtype), cache.dtype))
