"""Ops that write into a tensor at places that an index names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from pytest_tt.emulator.ops.indexed_rows import positions
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import axis, word

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step

# ttcore.reduce_type: how what is written and what is there become one; `invalid` overwrites.
_WAYS = {"invalid": "set", "sum": "add", "prod": "multiply", "max": "max", "min": "min"}


def _written(step: Step, attribute: str, places: Any, source: jax.Array) -> jax.Array:
    """`source` at `places`; those outside are left out. Of several to one place the last stays, if it overwrites."""
    way = _WAYS[word(step, attribute, _WAYS)]
    written: jax.Array = getattr(places, way)(source, mode="drop")
    return written


@meaning("scatter", attributes="dim scatter_reduce_type")
def scatter(step: Step, x: jax.Array, index: jax.Array, source: jax.Array) -> jax.Array:
    """As `torch.scatter`: each element of `source` goes to where `index` says along the axis."""
    along = axis(step, "dim", x.ndim)
    size = x.shape[along]
    places: list[jax.Array] = list(jnp.meshgrid(*(jnp.arange(n) for n in index.shape), indexing="ij", sparse=True))
    places[along] = jnp.where((index >= 0) & (index < size), index, size).astype(jnp.int32)
    part = source[tuple(slice(n) for n in index.shape)]
    return _written(step, "scatter_reduce_type", x.at[tuple(places)], part.astype(x.dtype))


@meaning("rows_scatter", attributes="column reduce sizes windows")
def rows_scatter(step: Step, table: jax.Array, index: jax.Array, source: jax.Array) -> jax.Array:
    """Rows, or parts of rows, written to the positions of `index`; one whose window is not inside is left out."""
    at = positions(step, index)
    batches, rows = table.shape[:2]
    whole = table.reshape(batches, rows, -1)
    batch = jnp.arange(batches)[:, None, None]
    row = jnp.where(at.inside[:, :, None], at.rows, rows)
    row = jnp.broadcast_to(row, (batches, *row.shape[1:]))
    source = source.astype(table.dtype).reshape(*row.shape, -1)
    if at.columns is None:
        places = whole.at[batch, row]
    else:
        places = whole.at[batch[..., None], row[..., None], at.columns[:, :, None, :]]
    return _written(step, "reduce", places, source).reshape(table.shape)
