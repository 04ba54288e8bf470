"""What is read where a tensor ends: memory of something else, so that no value can be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

if TYPE_CHECKING:
    import jax


def unknown(dtype: jax.typing.DTypeLike) -> jax.Array:
    """NaN, or the lowest integer of `dtype` but for unsigned ones, the highest: a comparison sees it."""
    if jnp.issubdtype(dtype, jnp.floating):
        return jnp.asarray(jnp.nan, dtype)
    limits = jnp.iinfo(dtype)
    return jnp.asarray(limits.min if limits.min < 0 else limits.max, dtype)
