"""What the compiler lays out as pairs, along a last axis of 2: complex numbers, and integers of 64 bits.

A complex number is its real and its imaginary part, an integer its low and its high half, unsigned.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def laid_out(shape: tuple[int, ...], dtype: Any, given: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a share of `shape` and `dtype` on a chip, where the program says `given`."""
    return (*shape, 2) if _paired(dtype) and given == (*shape, 2) else shape


def split(x: Any) -> Any:
    """The pairs of `x`."""
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        return jnp.stack([x.real, x.imag], -1)
    return jnp.stack([x, x >> 32], -1).astype(jnp.uint32)


def joined(x: Any, dtype: Any) -> Any:
    """What the pairs of `x` are, of type `dtype`."""
    first, second = x[..., 0], x[..., 1]
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return jax.lax.complex(first, second).astype(dtype)
    return first.astype(dtype) | (second.astype(dtype) << 32)


def _paired(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.complexfloating) or dtype in (np.int64, np.uint64)
