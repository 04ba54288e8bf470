"""Which positions a query may attend to, and the score of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

if TYPE_CHECKING:
    import jax

MASKED = -1e9
"""Score of what may not be attended to, and logit of a vocabulary's padding: exp of it is exactly 0 in float32 and in
bfloat16. The smallest float32 would become -inf on a chip that computes in bfloat16."""


def causal(length: int) -> jax.Array:
    """Whether a query (row) may attend to a key (column), bool [length, length]."""
    places = jnp.arange(length)
    return places[:, None] >= places[None, :]
