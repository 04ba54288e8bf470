"""Look-up in a table of rows, and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from pytest_tt.emulator.ops.unknown_memory import unknown
from pytest_tt.emulator.registry import meaning

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


@meaning("embedding")
def embedding(step: Step, index: jax.Array, table: jax.Array) -> jax.Array:
    """The row of `table` that each element of `index` names. The kernel does not look whether there is one."""
    rows = table.reshape(table.shape[-2:])
    found = jnp.take(rows, _places(index, len(rows)), axis=0, mode="fill", fill_value=unknown(table.dtype))
    return found.reshape(step.result.shape)


@meaning("embedding_bw")
def embedding_gradient(step: Step, index: jax.Array, table: jax.Array, gradient: jax.Array) -> jax.Array:
    """The gradient of `table`: the sum of the rows of `gradient` whose element of `index` names the row."""
    count, width = table.shape[-2:]
    places = _places(index, count).reshape(-1)
    summed = jnp.zeros((count, width), gradient.dtype).at[places].add(gradient.reshape(-1, width), mode="drop")
    return summed.reshape(step.result.shape)


def _places(index: jax.Array, count: int) -> jax.Array:
    """`index`, and `count`, which is outside, for what is not in ``0 … count - 1``; jax would count from the end."""
    return jnp.where((index >= 0) & (index < count), index, count).astype(jnp.int32)
