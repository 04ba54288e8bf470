"""Which rows and columns of a table the positions of an index tensor name, for ``rows_gather`` and ``rows_scatter``.

The two are ops of jax-tt-plugin's own: libtt's kernels `ttnn/operations/experimental/indexed_rows` say what they do. A
table is [batches, rows, …], its index tensor [batches or 1, components, positions]. The first components span `sizes`,
laid out one after the other in the rows, and a position names a window of `windows` in each. With `column`, the last
component is a place within the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from pytest_tt.emulator.values import flag, integers

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the positions of an index tensor are in a table, windows and all; [b, m]: batch (one for all: 1), position.

    rows: [b, m, window of rows]. columns: [b, m, window within a row], None if a position takes whole rows. inside:
    [b, m], whether the windows of a position lie in the table; those that do not are moved into it.
    """

    rows: jax.Array
    columns: jax.Array | None
    inside: jax.Array


def positions(step: Step, index: jax.Array) -> Positions:
    """The positions of `index`. Raises EmulationError if it does not fit the op's `sizes` and `windows`."""
    sizes = np.array(integers(step, "sizes"), np.int32)
    windows = np.array(integers(step, "windows", len(sizes)), np.int32)
    if index.ndim != 3 or index.shape[1] != len(sizes):
        raise step.error(f"the index tensor is {index.shape}: expected [batches, {len(sizes)}, positions]")
    room = (sizes - windows)[None, :, None]
    if jnp.issubdtype(index.dtype, jnp.unsignedinteger):
        start = jnp.minimum(index, room.astype(index.dtype))  # beyond 2**31 it is too high, not below 0
        inside = (index == start).all(1)
    else:
        start = jnp.clip(index, 0, room)
        inside = (index == start).all(1)
    start = start.astype(jnp.int32)
    column = flag(step, "column")
    of_rows = len(sizes) - column
    strides = np.array([prod(sizes[k + 1 : of_rows].tolist()) for k in range(of_rows)], np.int32)
    offsets = np.indices(windows[:of_rows].tolist()).reshape(of_rows, prod(windows[:of_rows].tolist()))
    first = (start[:, :of_rows] * strides[None, :, None]).sum(1, dtype=jnp.int32)
    rows = first[:, :, None] + (offsets * strides[:, None]).sum(0, dtype=np.int32)
    columns = start[:, -1, :, None] + np.arange(windows[-1], dtype=np.int32) if column else None
    return Positions(rows, columns, inside)
