"""Attention, rotary position embedding, and how heads are taken apart and put together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from pytest_tt.emulator.compute_config import ComputeConfig
from pytest_tt.emulator.ops.operands import spread
from pytest_tt.emulator.ops.unknown_memory import unknown
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import flag, integer, number

if TYPE_CHECKING:
    from pytest_tt.emulator.step import Step

# What the kernels take where the program says nothing (tt-metal sdpa.cpp, sdpa_decode.cpp).
_CONFIG = ComputeConfig("hifi2", fp32_dest_acc=False, approximate=True)
_ROTARY_TILE = 32


def _attended(
    step: Step,
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    seen: jax.Array | None,
    sink: jax.Array | None,
) -> jax.Array:
    """softmax(query keyᵀ scale + mask) value, of [batch, heads, rows, size].

    Several heads of `query` share one of `key` and `value`. `mask` is added, `seen` says by bool what takes part.
    `sink` holds a number per head, scaled as the scores, that is one more summand of its softmax (tt-mlir's
    SDPADecompositionPattern.cpp).
    """
    shared = query.shape[1] // key.shape[1]
    key, value = (jnp.repeat(x, shared, axis=1) for x in (key, value))
    elements, config = step.elements, _CONFIG if "compute_config" not in step.attributes else step.config
    scale = _scale(step, query)
    scores = step.numerics.matmul(query, jnp.swapaxes(key, -1, -2), elements[:2], config) * scale
    if mask is not None:
        scores = scores + mask
    if seen is not None:
        scores = jnp.where(seen, scores, -jnp.inf)
    if sink is not None:
        scores = jnp.concatenate([scores, jnp.broadcast_to(sink * scale, (*scores.shape[:-1], 1))], -1)
    weights = step.numerics.softmax(scores, scores.ndim - 1, elements[0], config)
    if sink is not None:
        weights = weights[..., :-1]
    out: jax.Array = step.numerics.matmul(weights, value, (elements[0], elements[2]), config)
    return out


@meaning("scaled_dot_product_attention", attributes="is_causal scale sliding_window_size")
def scaled_dot_product_attention(step: Step, *operands: jax.Array) -> jax.Array:
    """Of all positions. With a window and not causal, it is centred at each position; causal, it ends there."""
    query, key, value, mask, sink = spread(step, operands, 5)
    assert query is not None
    assert key is not None
    assert value is not None
    causal, window = flag(step, "is_causal", True), _window(step)
    if causal and mask is not None:
        raise step.error("it is causal and has a mask: expected one of them")
    rows = jnp.arange(query.shape[2])[:, None]
    columns = jnp.arange(key.shape[2])[None, :]
    seen = None
    if causal:
        seen = columns <= rows
        if window is not None:
            seen &= columns > rows - window
    elif window is not None:
        seen = jnp.abs(columns - rows) <= window // 2
    return _attended(step, query, key, value, mask, seen, sink)


@meaning("scaled_dot_product_attention_decode", attributes="is_causal scale sliding_window_size")
def scaled_dot_product_attention_decode(step: Step, *operands: jax.Array) -> jax.Array:
    """Of the one position of each row of the batch: query [1, batch, heads, size], the cache [batch, heads, …].

    Causal: the positions after `cur_pos` take no part; else `mask` [batch, 1, heads, positions] says it. It is scaled
    too, as this kernel alone does: softmax(scale (query keyᵀ + mask)) (tt-mlir's SDPADecodeDecompositionPattern.cpp).
    """
    query, key, value, *others = spread(step, operands, 6)
    assert query is not None
    assert key is not None
    assert value is not None
    return _decoded(step, query, key, value, *others)


@meaning("paged_scaled_dot_product_attention_decode", attributes="is_causal scale sliding_window_size")
def paged_scaled_dot_product_attention_decode(step: Step, *operands: jax.Array) -> jax.Array:
    """As scaled_dot_product_attention_decode, of a cache [pages, heads, slots, size] and a table [batch, pages].

    A position that is not among a row's slots makes the kernel read other memory, so that nothing is known of the row.
    """
    query, key, value, table, mask, position, sink = spread(step, operands, 7)
    assert query is not None
    assert key is not None
    assert value is not None
    assert table is not None
    out = _decoded(step, query, _pages(key, table), _pages(value, table), mask, position, sink)
    if position is None:
        return out
    inside = position.reshape(1, -1, 1, 1) < table.shape[1] * key.shape[2]
    return jnp.where(inside, out, jnp.asarray(unknown(out.dtype), out.dtype))


@meaning("chunked_scaled_dot_product_attention", attributes="scale")
def chunked_scaled_dot_product_attention(step: Step, *operands: jax.Array) -> jax.Array:
    """Of the positions from `start` [1] on, causal: query [batch, heads, rows, size], the cache in pages by a table."""
    query, key, value, table, start = operands
    last = start.reshape(-1)[0].astype(jnp.int32) + jnp.arange(query.shape[2])[:, None]
    seen = jnp.arange(table.shape[1] * key.shape[2])[None, :] <= last
    return _attended(step, query, _pages(key, table), _pages(value, table), None, seen, None)


def _pages(cache: jax.Array, table: jax.Array) -> jax.Array:
    """[pages, heads, slots, size] to [batch, heads, positions, size] by the pages of each row, [batch, pages]."""
    rows = jnp.take(cache, table.astype(jnp.int32), axis=0, mode="fill", fill_value=unknown(cache.dtype))
    batch, pages, heads, slots, size = rows.shape
    return rows.swapaxes(1, 2).reshape(batch, heads, pages * slots, size)


def _decoded(
    step: Step,
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    position: jax.Array | None,
    sink: jax.Array | None,
) -> jax.Array:
    causal, window = flag(step, "is_causal", True), _window(step)
    if causal == (mask is not None):
        raise step.error("expected a mask if it is not causal, and none if it is")
    if position is None and causal:
        raise step.error("it is causal without cur_pos_tensor: the position is not known")
    columns = jnp.arange(key.shape[2])
    last = jnp.full(query.shape[1], key.shape[2] - 1) if position is None else position.astype(jnp.int32)
    last = last.reshape(-1, 1, 1, 1)
    seen = None
    if causal:
        seen = columns <= last
    if window is not None:
        inside = (columns > last - window) & (columns <= last)
        seen = inside if seen is None else seen & inside
    heads = jnp.swapaxes(query, 0, 1).swapaxes(1, 2)  # [batch, heads, 1, size]
    if mask is not None:
        mask = jnp.swapaxes(mask, 1, 2) * _scale(step, query)
    if sink is not None:
        sink = sink[:, :1].reshape(1, -1, 1, 1)
    out = _attended(step, heads, key, value, mask, seen, sink)
    return jnp.transpose(out, (2, 0, 1, 3))


def _scale(step: Step, query: jax.Array) -> jax.Array:
    return jnp.asarray(number(step, "scale", 1 / math.sqrt(query.shape[-1])), jnp.float32)


def _window(step: Step) -> int | None:
    return integer(step, "sliding_window_size") if "sliding_window_size" in step.attributes else None


@meaning("rotary_embedding", attributes="token_index")
def rotary_embedding(step: Step, x: jax.Array, cosine: jax.Array, sine: jax.Array) -> jax.Array:
    """x cos + (-second half, first half) sin; with `token_index`, of that row of the tables for all of `x`."""
    if "token_index" in step.attributes:
        at = integer(step, "token_index")
        cosine, sine = (table[..., at : at + 1, :] for table in (cosine, sine))
    else:
        cosine, sine = (table[..., : x.shape[-2], :] for table in (cosine, sine))
    first, second = jnp.split(x, 2, axis=-1)
    return x * cosine + jnp.concatenate([-second, first], -1) * sine


@meaning("rotary_embedding_llama", attributes="is_decode_mode")
def rotary_embedding_llama(step: Step, x: jax.Array, cosine: jax.Array, sine: jax.Array, turn: jax.Array) -> jax.Array:
    """x cos + (x `turn`) sin, where `turn` [1, 1, 32, 32] is applied to each 32 neighbours of the last axis.

    Decoding: the tables [1, batch, 1, size] hold a row for each of the batch, else one for each position.
    """
    if not flag(step, "is_decode_mode", False):
        cosine, sine = (table[..., : x.shape[-2], :] for table in (cosine, sine))
    elif cosine.shape[-2] != 1 or cosine.shape[1] != x.shape[1]:
        raise step.error(f"tables of {cosine.shape}: expected a row for each of the batch, [1, {x.shape[1]}, 1, …]")
    tiles = x.reshape(*x.shape[:-1], -1, _ROTARY_TILE)
    elements = (step.elements[0], step.elements[3])
    turn = turn.reshape(_ROTARY_TILE, _ROTARY_TILE)
    turned: jax.Array = step.numerics.matmul(tiles, turn, elements, step.config)
    return x * cosine + turned.reshape(x.shape) * sine


@meaning("concatenate_heads")
def concatenate_heads(step: Step, x: jax.Array) -> jax.Array:
    """[batch, heads, rows, size] to [batch, rows, heads · size]."""
    batch, heads, rows, size = x.shape
    return jnp.swapaxes(x, 1, 2).reshape(batch, rows, heads * size)


@meaning("nlp_concat_heads")
def nlp_concat_heads(step: Step, x: jax.Array) -> jax.Array:
    """[batch, heads, rows, size] to [batch, 1, rows, heads · size]."""
    batch, heads, rows, size = x.shape
    return jnp.swapaxes(x, 1, 2).reshape(batch, 1, rows, heads * size)


@meaning("nlp_concat_heads_decode", attributes="num_heads")
def nlp_concat_heads_decode(step: Step, x: jax.Array) -> jax.Array:
    """[1, batch, heads, size] to [1, 1, batch, num_heads · size]: the heads after the first `num_heads` are padding."""
    heads = integer(step, "num_heads")
    return x[:, :, :heads].reshape(1, 1, x.shape[1], heads * x.shape[3])


@meaning("split_query_key_value_and_split_heads", attributes="num_heads num_kv_heads transpose_key")
def split_query_key_value_and_split_heads(
    step: Step, x: jax.Array, key_value: jax.Array | None = None
) -> tuple[jax.Array, ...]:
    """[batch, rows, query | key | value] to three of [batch, heads, rows, size], the key's last axes swapped if asked.

    If there are two operands, the first holds the query alone.
    """
    heads = integer(step, "num_heads")
    few = integer(step, "num_kv_heads", 0) or heads
    size = x.shape[-1] // (heads if key_value is not None else heads + 2 * few)
    whole = x if key_value is None else jnp.concatenate([x, key_value], -1)
    if whole.shape[-1] != (heads + 2 * few) * size:
        raise step.error(f"{whole.shape[-1]} columns are not {heads} + 2 · {few} heads")
    parts = jnp.split(whole, [heads * size, (heads + few) * size], -1)
    query, key, value = (jnp.swapaxes(part.reshape(*part.shape[:2], -1, size), 1, 2) for part in parts)
    return query, jnp.swapaxes(key, -1, -2) if flag(step, "transpose_key") else key, value
