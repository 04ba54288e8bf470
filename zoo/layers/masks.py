"""Which positions a query may attend to, and the score of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

if TYPE_CHECKING:
    import jax

MASKED = -1e9
"""Score of what may not be attended to, and logit of a vocabulary's padding: exp of it is exactly 0 in float32 and in
bfloat16. The smallest float32 would become -inf on a chip that computes in bfloat16."""


def causal(length: int, window: int | None = None) -> jax.Array:
    """Whether a query (row) may attend to a key (column), bool [length, length]: to itself and what is before it.

    Where there is a `window`, to the last so many only, itself among them.
    """
    places = jnp.arange(length)
    seen = places[:, None] >= places[None, :]
    return seen if window is None else seen & (places[:, None] - places[None, :] < window)


def causal_without_padding(mask: jax.Array) -> jax.Array:
    """`causal` for keys that are not padding, bool [batch, 1, length, length]; `mask` int32 [batch, length] is 1 for
    those, 0 for padding. One comparison with a constant.
    """
    limits = jnp.where(causal(mask.shape[1]), 0, jnp.iinfo(mask.dtype).max)
    return mask[:, None, None, :] > limits


def filled(slots: int, positions: jax.Array, window: int | None = None) -> jax.Array:
    """Whether the query at each of `positions` [...] may attend to a slot, bool [..., slots]."""
    places, positions = jnp.arange(slots), positions[..., None]
    seen = places <= positions
    return seen if window is None else seen & (positions - places < window)
