"""Products of matrices whose numbers have the dtype of the factors, summed in float32.

TT's chips sum bfloat16 in float32 and round the sum on the way out: one operation, where a product asked for in float32
needs another that rounds. XLA's CPU compiler multiplies bfloat16 fast only if it gives float32, and two rows ten times
faster than one; real chips do 32 at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMS_FLOAT32 = jax.__version_info__ >= (0, 8, 1)
"""Whether simulated chips can sum products of bfloat16 in float32; those of older jaxlibs refuse more than one row."""


def summed(factor: jax.Array) -> jnp.dtype:
    """The dtype that simulated chips sum products of `factor` in."""
    return jnp.dtype(jnp.float32) if SUMS_FLOAT32 else factor.dtype


def product(x: jax.Array, weight: jax.Array, *, alone: bool = True) -> jax.Array:
    """`x` [rows, in] times `weight` [out, in]: [rows, out] in the dtype of `x`.

    Those are of one dtype, or `x` is float32 and `weight` bfloat16: the card multiplies such as they are and makes no
    float32 of the weight. XLA's CPU compiler would at each call, which takes several times as long, so that the
    simulation rounds `x` instead. `alone` False: what is made of the result may become one operation with the product,
    as an activation does. With an addition TT's compiler would do so, too, but of a float32 copy of the weight.
    """
    if x.dtype != weight.dtype:

        def rounded(x: jax.Array, weight: jax.Array) -> jax.Array:
            return jnp.einsum("ri,oi->ro", x.astype(weight.dtype), weight, preferred_element_type=x.dtype)

        def mixed(x: jax.Array, weight: jax.Array) -> jax.Array:
            made = jnp.einsum("ri,oi->ro", x, weight.astype(x.dtype))
            return jax.lax.optimization_barrier(made) if alone else made

        both: jax.Array = jax.lax.platform_dependent(x, weight, cpu=rounded if SUMS_FLOAT32 else mixed, default=mixed)
        return both
    if x.shape[0] == 1 and x.dtype == jnp.bfloat16 and SUMS_FLOAT32:

        def two_rows(x: jax.Array, weight: jax.Array) -> jax.Array:
            return einsum("ri,oi->ro", jnp.pad(x, ((0, 1), (0, 0))), weight)[:1]

        def plain(x: jax.Array, weight: jax.Array) -> jax.Array:
            return jnp.einsum("ri,oi->ro", x, weight)

        found: jax.Array = jax.lax.platform_dependent(x, weight, cpu=two_rows, default=plain)
        return found
    return einsum("ri,oi->ro", x, weight)


def joint_product(x: jax.Array, weights: Sequence[jax.Array]) -> jax.Array:
    """`x` [rows, in] times each of `weights` [out, in], beside each other: [rows, sum of out].

    The card joins weights once, ahead of the calls, for one product; XLA's CPU compiler would at each call.
    """

    def one(x: jax.Array, *weights: jax.Array) -> jax.Array:
        return product(x, jnp.concatenate(weights))

    def each(x: jax.Array, *weights: jax.Array) -> jax.Array:
        return jnp.concatenate([product(x, weight) for weight in weights], axis=1)

    found: jax.Array = jax.lax.platform_dependent(x, *weights, cpu=each, default=one)
    return found


def einsum(subscripts: str, x: jax.Array, y: jax.Array) -> jax.Array:
    """As jnp.einsum of two factors of one dtype, which the result has too."""

    def plain(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.einsum(subscripts, x, y)

    def rounded(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.einsum(subscripts, x, y, preferred_element_type=jnp.float32).astype(x.dtype)

    if x.dtype == jnp.bfloat16 and SUMS_FLOAT32:
        found: jax.Array = jax.lax.platform_dependent(x, y, cpu=rounded, default=plain)
        return found
    return plain(x, y)
