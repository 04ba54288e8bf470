"""Causal attention over keys and values as decoders keep them, [batch, heads, slots, head_dim]: one device operation.

TT's compiler takes its operations of attention apart unless its optimizer runs, but for those of a cache in pages. A
cache with a page for each row is this cache, and the table of pages is the rows' numbers. What TT's kernels want
(tt-metal's sdpa_decode_device_operation.cpp, sdpa_device_operation.cpp): bfloat16, slots and head_dim in whole tiles of
32. Anything else, and the simulation, takes the products and the softmax. Chips must see their own part: inside
``jax.shard_map``, on several.

`query` is scaled already. Each group of as many consecutive heads of queries as there are to one of keys and values
shares it. Scores and their softmax are float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.experimental.xla_metadata import set_xla_metadata

from zoo.layers.masks import MASKED, causal, filled
from zoo.layers.precision import SHARED
from zoo.layers.products import einsum, summed

if TYPE_CHECKING:
    from collections.abc import Callable

TILE = 32
COLUMNS = 8
"""Of a table for whole prompts: the kernel reads 32 bytes of it at once. All are the row's one page; those behind the
first stand for slots behind the prompt, which no query sees."""


def of_step(
    query: jax.Array, keys: jax.Array, values: jax.Array, positions: jax.Array, window: int | None = None
) -> jax.Array:
    """What one query a row, [1, batch, heads, head_dim], sees of the slots up to its position, int32 [batch].

    Where there is a `window`, of the last so many only. To the same shape and dtype. The card reads no other slots.
    """

    def paged(query: jax.Array, keys: jax.Array, values: jax.Array, positions: jax.Array) -> jax.Array:
        return _call(
            "tt.paged_scaled_dot_product_attention_decode",
            (query, keys, values, _pages(keys, 1), positions),
            is_causal=np.bool_(True),
            scale=np.float32(1.0),
            has_attention_mask=np.bool_(False),
            has_cur_pos_tensor=np.bool_(True),
            has_attention_sink=np.bool_(False),
            **({} if window is None else {"sliding_window_size": np.int32(window)}),
        )

    def plain(query: jax.Array, keys: jax.Array, values: jax.Array, positions: jax.Array) -> jax.Array:
        _, batch, heads, size = query.shape
        seen = filled(keys.shape[2], positions[:, None, None], window)
        grouped = query.reshape(batch, keys.shape[1], heads // keys.shape[1], size)
        return masked(grouped, keys, values, seen).reshape(query.shape)

    return _either(paged, plain, query, keys, values, positions)


def of_prompt(query: jax.Array, keys: jax.Array, values: jax.Array, window: int | None = None) -> jax.Array:
    """What `query` [batch, heads, length, head_dim] sees of `keys` and `values` [batch, kv heads, length, head_dim].

    Each sees what is not behind it; where there is a `window`, the last so many only, which the kernel does not know.
    To the shape and dtype of `query`.
    """

    def paged(query: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
        operands = query, keys, values, _pages(keys, COLUMNS), jnp.zeros(1, jnp.int32)
        return _call("tt.chunked_scaled_dot_product_attention", operands, scale=np.float32(1.0))

    def plain(query: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
        batch, heads, length, size = query.shape
        group = heads // keys.shape[1]
        seen = jnp.tile(causal(length, window)[None, None], (1, 1, group, 1))
        grouped = query.reshape(batch, keys.shape[1], group * length, size)
        return masked(grouped, keys, values, seen).reshape(query.shape)

    if window is not None and window < query.shape[2]:
        return plain(query, keys, values)
    return _either(paged, plain, query, keys, values)


def masked(query: jax.Array, keys: jax.Array, values: jax.Array, seen: jax.Array) -> jax.Array:
    """What `query` [batch, kv heads, queries of a group, head_dim] sees of `keys` and `values`.

    Those are [batch, kv heads, keys, head_dim], `seen` bool [batch or 1, 1, queries of a group, keys]. To the shape of
    `query`, in the dtype of `values`. `query` and `keys` have one dtype.
    """
    scores = jnp.einsum("bkqd,bktd->bkqt", query, keys, preferred_element_type=summed(query)).astype(SHARED.scores)
    shares = nn.softmax(jnp.where(seen, scores, MASKED)).astype(values.dtype)
    return einsum("bkqt,bktd->bkqd", shares, values)


def _either(paged: Callable[..., jax.Array], plain: Callable[..., jax.Array], *operands: jax.Array) -> jax.Array:
    """`paged` on a card, for keys that its kernel takes, else `plain`."""
    keys = operands[1]
    if keys.dtype != jnp.bfloat16 or keys.shape[2] % TILE or keys.shape[3] % TILE:
        return plain(*operands)
    found: jax.Array = jax.lax.platform_dependent(*operands, tt=paged, default=plain)
    return found


def _pages(keys: jax.Array, columns: int) -> jax.Array:
    """The table: the page of each row, int32 [batch, columns]."""
    return jnp.broadcast_to(jnp.arange(keys.shape[0], dtype=jnp.int32)[:, None], (keys.shape[0], columns))


def _call(name: str, operands: tuple[jax.Array, ...], **attributes: Any) -> jax.Array:
    """The custom call `name`, whose result is as its first operand.

    Attributes stand in it twice: upstream's TT compiler reads those of the frontend, the build here typed ones.
    """
    kind = jax.ShapeDtypeStruct(operands[0].shape, operands[0].dtype)
    with set_xla_metadata(**{key: str(value) for key, value in attributes.items()}):
        found: jax.Array = jax.ffi.ffi_call(name, kind)(*operands, **attributes)
    return found
