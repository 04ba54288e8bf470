"""Normalisation by the root mean square (Zhang and Sennrich, 2019), computed in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import linen as nn

from zoo.layers.precision import SHARED

if TYPE_CHECKING:
    from collections.abc import Sequence


def normalised(x: jax.Array, scale: jax.Array, epsilon: float) -> jax.Array:
    """`x` [..., units] divided by the root mean square of its last axis, times `scale`, in the dtype of `x`."""
    if scale.dtype != x.dtype == SHARED.norms:
        # Without the barrier TT's compiler rounds `x` first, and normalises in the dtype of the scale.
        scale = jax.lax.optimization_barrier(scale.astype(x.dtype))
    wide = x.astype(SHARED.norms)
    wide = wide * jax.lax.rsqrt((wide * wide).mean(axis=-1, keepdims=True) + epsilon) * scale
    return wide.astype(x.dtype)


class RMSNorm(nn.Module):
    """Each row divided by its root mean square."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [..., hidden] to the same."""
        return normalised(x, self.param("scale", nn.initializers.ones, (x.shape[-1],)), self.epsilon)


class HeadScale(nn.Module):
    """The parameter of a norm of each head, which is computed where a chip has its heads."""

    head_dim: int

    @nn.compact
    def __call__(self) -> jax.Array:
        """The scale [head_dim]."""
        return self.param("scale", nn.initializers.ones, (self.head_dim,))


def normalised_heads(x: jax.Array, scales: Sequence[jax.Array], heads: Sequence[int], epsilon: float) -> jax.Array:
    """`x` [..., heads, head_dim], of which the first so many have the first of the `scales` [head_dim], and so on.

    One norm for all of them: the scales are joined once, as they are made of parameters.
    """
    each = [jnp.broadcast_to(scale, (count, *scale.shape)) for scale, count in zip(scales, heads, strict=True)]
    return normalised(x, jnp.concatenate(each), epsilon)
