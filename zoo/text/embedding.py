"""The embedding of language models: one table, sharded by vocabulary over chips, which a tied head uses too.

As in Megatron-LM (Shoeybi et al., 2019, section 3): each chip looks up the rows that it holds, and the sum over chips
is the row. Upstream's TT compiler has no axis index and no gather from a sharded axis, so the number of each chip's
first row is data (a parameter), and the look-up is local.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P

if TYPE_CHECKING:
    from jax.sharding import Mesh


class Embedding(nn.Module):
    """A table [rows, width]: its first `tokens` rows belong to tokens, the others are padding.

    Rows are sharded over the `axes` of `mesh`, ids over its axis `batch`; `mesh` None: on one chip. `rows` must be a
    multiple of the chips.
    """

    tokens: int
    rows: int
    width: int
    mesh: AbstractMesh | None = None
    axes: tuple[str, ...] = ("model",)
    batch: str | None = "batch"
    dtype: str = "float32"

    def setup(self) -> None:
        shape, chips = (self.rows, self.width), self._chips()
        self.embedding = self.param("embedding", nn.initializers.normal(0.02), shape, jnp.dtype(self.dtype))
        self.first_row = self.param("first_row", lambda key: jnp.asarray(first_rows(self.rows, chips)))

    def __call__(self, ids: jax.Array) -> jax.Array:
        """`ids` int32 [batch, …] to [batch, …, width] in the table's dtype; NaN for ids that are not tokens.

        Of ids with one axis, [batch * length], TT's compiler makes the fewest operations. TypeError, on several chips,
        if the numbers of the first rows were converted to floats.
        """
        if self.mesh is None or self._chips() == 1 or self.is_initializing():
            rows = jnp.take(self.embedding, ids, axis=0, mode="clip")
            return jnp.where(is_token(ids[..., None], self.tokens), rows, jnp.nan)
        if not jnp.issubdtype(self.first_row.dtype, jnp.integer):
            raise TypeError(
                f"{'/'.join(self.path)}/first_row is {self.first_row.dtype.name}, expected int32: it holds numbers of "
                "rows; change the dtype of floating-point parameters only"
            )
        axes = spread_axes(self.mesh, self.axes)

        def look_up(table: jax.Array, first_row: jax.Array, ids: jax.Array) -> jax.Array:
            # One sum after the other: TT's compiler refuses one over two axes (stablehlo.all_reduce is not legalized).
            return reduce(jax.lax.psum, axes, own_rows(table, first_row, ids, self.tokens))

        found: jax.Array = jax.shard_map(
            look_up,
            mesh=self.mesh,
            in_specs=(P(axes, None), P(axes), P(self.batch)),
            out_specs=P(self.batch),
        )(self.embedding, self.first_row, ids)
        return found

    def _chips(self) -> int:
        """Chips that share the table."""
        return 1 if self.mesh is None else int(np.prod([self.mesh.shape[axis] for axis in self.axes]))


def own_rows(table: jax.Array, first_row: jax.Array, ids: jax.Array, tokens: int) -> jax.Array:
    """Rows `ids` of a table, of which `table` is the part that begins at `first_row` [1].

    Zeros for rows of other parts, NaN for ids that are not among the `tokens`.
    """
    places = ids - first_row
    known = is_token(ids, tokens)
    here = known & (places >= 0) & (places < table.shape[0])
    rows = jnp.take(table, places, axis=0, mode="clip")
    return jnp.where(here[..., None], rows, jnp.where(known, 0.0, jnp.nan)[..., None].astype(rows.dtype))


def spread_axes(mesh: AbstractMesh, axes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `axes` along which `mesh` has several chips."""
    return tuple(axis for axis in axes if mesh.shape[axis] > 1)


def is_token(ids: jax.Array, tokens: int) -> jax.Array:
    """Whether each of `ids` is one of the `tokens`."""
    return (ids >= 0) & (ids < tokens)


def first_rows(rows: int, chips: int) -> np.ndarray:
    """The number of the first row that each of `chips` holds of a table of `rows`, int32 [chips]."""
    return np.arange(chips, dtype=np.int32) * np.int32(rows // chips)


def shape_of(mesh: Mesh | AbstractMesh) -> AbstractMesh | None:
    """`mesh` without its chips, as configs hold it; None for a single chip."""
    sizes = tuple(mesh.shape.values())
    abstract = AbstractMesh(sizes, tuple(mesh.shape), axis_types=(AxisType.Auto,) * len(sizes))
    return abstract if abstract.size > 1 else None
