"""What is read where a tensor ends: memory of something else, so that no value can be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

if TYPE_CHECKING:
    import jax


def unknown(dtype: jax.typing.DTypeLike) -> float:
    """NaN, or an integer of `dtype` far from the usual ones: a comparison sees it."""
    if jnp.issubdtype(dtype, jnp.floating):
        return float("nan")
    limits = jnp.iinfo(dtype)
    return int(limits.min if limits.min < 0 else limits.max)
