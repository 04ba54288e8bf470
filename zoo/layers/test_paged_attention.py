"""Attention over a cache against NumPy, and what a card's compiler gets for it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.layers import paged_attention

BATCH, GROUPS, HEADS, SLOTS, SIZE = 2, 2, 6, 64, 32
RNG = np.random.default_rng(1)
KEYS, VALUES = RNG.standard_normal((2, BATCH, GROUPS, SLOTS, SIZE))
PROMPT, STEP = RNG.standard_normal((BATCH, HEADS, SLOTS, SIZE)), RNG.standard_normal((1, BATCH, HEADS, SIZE))
POSITIONS = np.array([5, 63], np.int32)


def expected(query: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """For `query` [batch, heads, queries, size] at `positions` [batch, queries]."""
    scores = query @ np.repeat(KEYS, HEADS // GROUPS, 1).swapaxes(2, 3)
    powers = np.where(np.arange(SLOTS) <= positions[:, None, :, None], np.exp(scores), 0)
    shares: np.ndarray = powers / powers.sum(-1, keepdims=True)
    found: np.ndarray = shares @ np.repeat(VALUES, HEADS // GROUPS, 1)
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-5), (jnp.bfloat16, 0.1)])
def test_formula(dtype: Any, tolerance: float) -> None:
    prompt, step, keys, values = (jnp.asarray(x, dtype) for x in (PROMPT, STEP, KEYS, VALUES))
    found = jax.jit(paged_attention.of_prompt)(prompt, keys, values)
    assert found.dtype == dtype
    whole = expected(PROMPT, np.tile(np.arange(SLOTS), (BATCH, 1)))
    np.testing.assert_allclose(np.asarray(found, np.float32), whole, atol=tolerance)
    found = jax.jit(paged_attention.of_step)(step, keys, values, POSITIONS)
    assert found.dtype == dtype
    one = expected(STEP.transpose(1, 2, 0, 3), POSITIONS[:, None]).transpose(2, 0, 1, 3)
    np.testing.assert_allclose(np.asarray(found, np.float32), one, atol=tolerance)


@pytest.mark.parametrize(
    ("dtype", "slots", "fused"), [("bfloat16", SLOTS, True), ("bfloat16", 40, False), ("float32", SLOTS, False)]
)
def test_one_operation_where_the_kernel_takes_it(dtype: str, slots: int, fused: bool) -> None:
    def cut(x: np.ndarray) -> jax.Array:
        return jnp.asarray(x[:, :, :slots], dtype)

    step, positions = jnp.asarray(STEP, dtype), np.minimum(POSITIONS, slots - 1)
    traced = (
        jax.make_jaxpr(paged_attention.of_prompt)(cut(PROMPT), cut(KEYS), cut(VALUES)),
        jax.make_jaxpr(paged_attention.of_step)(step, cut(KEYS), cut(VALUES), positions),
    )
    for jaxpr, name in zip(traced, ("chunked", "paged"), strict=True):
        assert (f"tt.{name}_scaled_dot_product_attention" in str(jaxpr)) == fused
