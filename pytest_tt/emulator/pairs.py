"""What the compiler lays out along a last axis: complex numbers, integers of 64 bits, and keys of random numbers.

A complex number is its real and its imaginary part, an integer its low and its high half, unsigned, a key its words.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def laid_out(shape: tuple[int, ...], dtype: Any, given: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a share of `shape` and `dtype` on a chip, where the program says `given`."""
    whole = (*shape, *_parts(dtype))
    return whole if given == whole else shape


def is_key(dtype: Any) -> bool:
    """Whether it is the type of ``jax.random.key``."""
    return bool(jnp.issubdtype(dtype, jax.dtypes.prng_key))


def split(x: Any) -> Any:
    """The parts of `x`."""
    if is_key(x.dtype):
        return jax.random.key_data(x)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        return jnp.stack([x.real, x.imag], -1)
    return jnp.stack([x, x >> 32], -1).astype(jnp.uint32)


def joined(x: Any, dtype: Any) -> Any:
    """What the parts in `x` are, of type `dtype`."""
    if is_key(dtype):
        return jax.random.wrap_key_data(x, impl=jax.random.key_impl(jnp.empty(0, dtype)))
    first, second = x[..., 0], x[..., 1]
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return jax.lax.complex(first, second).astype(dtype)
    return first.astype(dtype) | (second.astype(dtype) << 32)


def _parts(dtype: Any) -> tuple[int, ...]:
    """The axis that an element of `dtype` becomes, if it becomes one."""
    if is_key(dtype):
        words: Any = jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct((), dtype))
        return tuple(words.shape)
    return (2,) if jnp.issubdtype(dtype, jnp.complexfloating) or dtype in (np.int64, np.uint64) else ()
