"""What attention, rotary embeddings and ops of heads compute, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated

from pytest_tt.emulator.errors import EmulationError

RNG = np.random.default_rng(0)
BATCH, HEADS, SHARED, ROWS, SIZE = 2, 4, 2, 6, 8
QUERY = RNG.standard_normal((BATCH, HEADS, ROWS, SIZE))
KEY, VALUE = RNG.standard_normal((2, BATCH, HEADS // SHARED, ROWS, SIZE))
AT = np.arange(ROWS)
NO_MORE = "operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>"


def kind(x: Any) -> str:
    x = np.asarray(x)
    return f"tensor<{'x'.join(map(str, x.shape))}x{'si32' if x.dtype.kind == 'i' else 'f32'}>"


def run(name: str, attributes: str, result: Any, *operands: Any) -> Any:
    types = f"({', '.join(map(kind, operands))}) -> {kind(result)}"
    given = (jnp.asarray(x, jnp.int32 if np.asarray(x).dtype.kind == "i" else jnp.float32) for x in operands)
    return emulated(name, attributes, types, *given)


def attended(
    query: np.ndarray, seen: Any, scale: float = SIZE**-0.5, sink: np.ndarray | None = None, mask: Any = 0.0
) -> np.ndarray:
    scores = query @ np.repeat(KEY, SHARED, 1).swapaxes(2, 3) * scale + mask
    powers = np.where(seen, np.exp(scores), 0)
    more = 0 if sink is None else np.exp(sink * scale)
    return powers / (powers.sum(-1, keepdims=True) + more) @ np.repeat(VALUE, SHARED, 1)


@pytest.mark.parametrize(
    ("attributes", "seen"),
    [
        ("is_causal = true", AT[:, None] >= AT),
        ("is_causal = false", True),
        ("is_causal = true, sliding_window_size = 2 : ui32", (AT[:, None] >= AT) & (AT[:, None] - 2 < AT)),
        ("is_causal = false, sliding_window_size = 2 : ui32", abs(AT - AT[:, None]) <= 1),
    ],
)
def test_positions_that_take_part(attributes: str, seen: Any) -> None:
    name = "scaled_dot_product_attention"
    found = run(name, f"{attributes}, {NO_MORE}", QUERY, QUERY, KEY, VALUE)
    np.testing.assert_allclose(found, attended(QUERY, seen), rtol=1e-4, atol=1e-6)


def test_scale_mask_and_sink() -> None:
    name, mask, sink = "scaled_dot_product_attention", RNG.standard_normal((1, 1, ROWS, ROWS)), QUERY[:1, :, :1, :1]
    attributes = "is_causal = false, scale = 0.5 : f32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>"
    found = run(name, attributes, QUERY, QUERY, KEY, VALUE, mask, sink)
    np.testing.assert_allclose(found, attended(QUERY, True, 0.5, sink, mask), rtol=1e-4, atol=1e-6)
    with pytest.raises(EmulationError, match="it is causal and has a mask"):
        run(name, attributes.replace("false", "true"), QUERY, QUERY, KEY, VALUE, mask, sink)


def test_decoding_sees_up_to_its_position() -> None:
    name, query, position = "scaled_dot_product_attention_decode", QUERY[:, :, :1], np.array([2, 4])
    turned = query.transpose(2, 0, 1, 3)
    attributes = "operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0>"
    seen = position.reshape(-1, 1, 1, 1) >= AT
    found = run(name, f"is_causal = true, {attributes}", turned, turned, KEY, VALUE, position)
    np.testing.assert_allclose(found, attended(query, seen).transpose(2, 0, 1, 3), rtol=1e-4, atol=1e-6)
    window = seen & (position.reshape(-1, 1, 1, 1) - 2 < AT)
    attributes = f"is_causal = true, sliding_window_size = 2 : ui32, {attributes}"
    found = run(name, attributes, turned, turned, KEY, VALUE, position)
    np.testing.assert_allclose(found, attended(query, window).transpose(2, 0, 1, 3), rtol=1e-4, atol=1e-6)


def test_decoding_with_a_mask_of_each_head() -> None:
    query, mask = QUERY[:, :, :1], RNG.standard_normal((BATCH, 1, HEADS, ROWS))
    turned = query.transpose(2, 0, 1, 3)
    attributes = "is_causal = false, scale = 0.5 : f32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0>"
    found = run("scaled_dot_product_attention_decode", attributes, turned, turned, KEY, VALUE, mask)
    expected = attended(query, True, 0.5, mask=mask.swapaxes(1, 2) * 0.5)  # the mask is scaled, too
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1, 3), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pages", [1, 3])
def test_decoding_from_pages(pages: int) -> None:
    """Whose order is another than that of the rows."""
    query, position = QUERY[:, :, :1], np.array([2, 4])
    turned, table = query.transpose(2, 0, 1, 3), RNG.permutation(BATCH * pages).reshape(BATCH, pages)
    attributes = "is_causal = true, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 1, 0>"
    name, stored = "paged_scaled_dot_product_attention_decode", (paged(KEY, table), paged(VALUE, table))
    found = run(name, attributes, turned, turned, *stored, table, position)
    expected = attended(query, position.reshape(-1, 1, 1, 1) >= AT).transpose(2, 0, 1, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    found = run(name, attributes, turned, turned, *stored, table, np.array([2, ROWS]))
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-4, atol=1e-6)
    assert np.isnan(found[:, 1]).all()


@pytest.mark.parametrize("start", [0, 2])
def test_a_chunk_sees_pages_up_to_its_rows(start: int) -> None:
    query, table = QUERY[:, :, start:], RNG.permutation(BATCH * 2).reshape(BATCH, 2)
    stored = paged(KEY, table), paged(VALUE, table)
    found = run("chunked_scaled_dot_product_attention", "", query, query, *stored, table, np.array([start]))
    np.testing.assert_allclose(found, attended(query, AT[start:, None] >= AT), rtol=1e-4, atol=1e-6)


def paged(rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """`rows` [batch, heads, positions, size] in the pages of `table`, [pages, heads, slots, size]."""
    batch, heads, positions, size = rows.shape
    cut = rows.reshape(batch, heads, table.shape[1], positions // table.shape[1], size).swapaxes(1, 2)
    stored = np.empty((table.size, *cut.shape[2:]))
    stored[table.reshape(-1)] = cut.reshape(stored.shape)
    return stored


def test_decoding_without_a_position_is_an_error() -> None:
    turned = QUERY[:, :, :1].transpose(2, 0, 1, 3)
    attributes = "is_causal = true, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>"
    with pytest.raises(EmulationError, match="causal without cur_pos_tensor: the position is not known"):
        run("scaled_dot_product_attention_decode", attributes, turned, turned, KEY, VALUE)


def test_rotary_embedding() -> None:
    tables = RNG.standard_normal((2, 1, 1, ROWS + 3, SIZE))
    half = np.concatenate([-QUERY[..., SIZE // 2 :], QUERY[..., : SIZE // 2]], -1)
    cosine, sine = tables[..., :ROWS, :]
    found = run("rotary_embedding", "", QUERY, QUERY, *tables)
    np.testing.assert_allclose(found, QUERY * cosine + half * sine, rtol=1e-5, atol=1e-6)
    cosine, sine = tables[..., 7:8, :]
    found = run("rotary_embedding", "token_index = 7 : ui32", QUERY, QUERY, *tables)
    np.testing.assert_allclose(found, QUERY * cosine + half * sine, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decode", [False, True])
def test_rotary_embedding_of_neighbours(decode: bool) -> None:
    x, turn = RNG.standard_normal((1, 2, 3, 64)), np.zeros((1, 1, 32, 32))
    for pair in range(0, 32, 2):
        turn[..., pair + 1, pair], turn[..., pair, pair + 1] = -1, 1
    tables = RNG.standard_normal((2, 1, 2, 1, 64) if decode else (2, 1, 1, 3, 64))
    turned = np.stack([-x[..., 1::2], x[..., ::2]], -1).reshape(x.shape)
    found = run("rotary_embedding_llama", f"is_decode_mode = {str(decode).lower()}", x, x, *tables, turn)
    np.testing.assert_allclose(found, x * tables[0] + turned * tables[1], rtol=1e-5, atol=1e-6)


def test_heads_are_put_together() -> None:
    rows = QUERY.swapaxes(1, 2).reshape(BATCH, ROWS, HEADS * SIZE)
    np.testing.assert_allclose(run("concatenate_heads", "", rows, QUERY), rows, rtol=1e-6)
    np.testing.assert_allclose(run("nlp_concat_heads", "", rows[:, None], QUERY), rows[:, None], rtol=1e-6)
    decoded = QUERY[:, :3, 0].reshape(1, 1, BATCH, -1)
    found = run("nlp_concat_heads_decode", "num_heads = 3 : ui32", decoded, QUERY[None, :, :, 0])
    np.testing.assert_allclose(found, decoded, rtol=1e-6)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_heads_are_taken_apart(apart: bool, transpose: bool) -> None:
    parts = [x.swapaxes(1, 2).reshape(BATCH, ROWS, -1) for x in (QUERY, KEY, VALUE)]
    operands = [parts[0], np.concatenate(parts[1:], -1)] if apart else [np.concatenate(parts, -1)]
    attributes = f"num_heads = 4 : ui32, num_kv_heads = 2 : ui32, transpose_key = {str(transpose).lower()}"
    query, key, value = run("split_query_key_value_and_split_heads", attributes, QUERY, *operands)
    np.testing.assert_allclose(query, QUERY, rtol=1e-6)
    np.testing.assert_allclose(key, KEY.swapaxes(2, 3) if transpose else KEY, rtol=1e-6)
    np.testing.assert_allclose(value, VALUE, rtol=1e-6)
