"""The key-value cache of decoders, [batch, heads, slots, head_dim]: one token's keys or values go where they belong.

The card writes in place, ``tt.update_cache`` of TT's compiler (``ttnn.paged_update_cache``): what a step moves does not
grow with the slots. The argument that holds the cache must be donated, and the cache from before is not to be used
after. Elsewhere the slots are selected. Chips must see their own part: inside ``jax.shard_map``, on several.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata


def write(cache: jax.Array, new: jax.Array, positions: jax.Array) -> jax.Array:
    """`cache` [batch, heads, slots, head_dim] with `new` [1, heads, batch, head_dim] at each row's slot.

    `positions` int32 [batch]; a row whose position is not a slot keeps what it has. `new` has the cache's dtype.
    """
    written: jax.Array = jax.lax.platform_dependent(cache, new, positions, tt=_in_place, default=_selected)
    return written


def _in_place(cache: jax.Array, new: jax.Array, positions: jax.Array) -> jax.Array:
    kind = jax.ShapeDtypeStruct(cache.shape, cache.dtype)
    with set_xla_metadata(batch_offset="0"):
        written: jax.Array = jax.ffi.ffi_call("tt.update_cache", kind, input_output_aliases={0: 0})(
            cache, new, positions
        )
    return written


def _selected(cache: jax.Array, new: jax.Array, positions: jax.Array) -> jax.Array:
    here = jnp.arange(cache.shape[2])[None, :] == positions[:, None]
    return jnp.where(here[:, None, :, None], new.transpose(2, 1, 0, 3), cache)
