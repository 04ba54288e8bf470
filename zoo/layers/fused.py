"""Functions that the card has as one operation, by the names of composites that TT's compiler knows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def fused(name: str, plain: Callable[..., jax.Array], *arrays: jax.Array, **attributes: Any) -> jax.Array:
    """``plain(*arrays, **attributes)`` as StableHLO's composite `name`; in the simulation it is what `plain` computes.

    Derivatives are those of `plain`: jax has none of a composite. On several chips the arrays must be whole on each, or
    its own part inside ``jax.shard_map``: TT's compiler does not spread a composite.
    """

    @jax.custom_jvp
    def one(*arrays: jax.Array) -> Any:
        return jax.lax.composite(plain, name=name)(*arrays, **attributes)

    @one.defjvp
    def of_plain(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        return jax.jvp(partial(plain, **attributes), primals, tangents)

    found: jax.Array = one(*arrays)
    return found


def gelu_tanh(x: jax.Array) -> jax.Array:
    """GELU by tanh, as GPT-2 has it; behind a product, one operation with it on the card (by erf there)."""
    return fused("tenstorrent.gelu_tanh", partial(jax.nn.gelu, approximate=True), x)


def normalised(x: jax.Array) -> jax.Array:
    """Rows of `x` [batch, hidden] with an L2 norm of 1; a row of zeros stays.

    One operation of TT's compiler: to divide by the root of the mean square is to normalise, up to a factor.
    """

    def plain(x: jax.Array, scale: jax.Array, *, epsilon: Any, normalized_shape: Any) -> jax.Array:
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon) * scale

    size = x.shape[-1]
    scale = jnp.full((size,), size**-0.5, x.dtype)
    result: jax.Array = jax.lax.composite(plain, name="tenstorrent.rms_norm")(
        x, scale, epsilon=np.float32(1e-24), normalized_shape=np.array([size], np.int64)
    )
    return result


def quick_gelu(x: jax.Array) -> jax.Array:
    """GELU as CLIP approximates it, ``x * sigmoid(1.702 * x)``."""
    return x * jax.nn.sigmoid(1.702 * x)
