"""The check for what the TT compiler refuses, on programs that hold it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_tt.tt_compiler.upstream import refused

X = np.ones((4, 4), np.float32)
N = np.zeros(1, np.int32)


def lowered(function: Any, *args: Any) -> tuple[str, ...]:
    return refused(jax.jit(function).lower(*args).as_text())


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x, n: x @ x + jnp.exp(x), ()),
        (lambda x, n: x.astype(jnp.bfloat16), ()),
        (lambda x, n: jax.lax.fori_loop(0, n[0], lambda i, y: y + i, x), ("while",)),
        (lambda x, n: jax.lax.cond(n[0] > 0, jnp.sin, jnp.cos, x), ("case",)),
        (lambda x, n: jax.lax.dynamic_update_slice(x, x[:1], (n[0], 0)), ("dynamic_update_slice",)),
        (lambda x, n: x.astype(jnp.float16), ("type f16",)),
        (lambda x, n: jnp.round(x), ("round_nearest_even",)),
        (lambda x, n: n >> 1, ("shift_right_arithmetic",)),
        (lambda x, n: jax.lax.rng_uniform(0.0, 1.0, (2,)), ("rng",)),
    ],
)
def test_refused(function: Any, found: tuple[str, ...]) -> None:
    assert lowered(function, X, N) == found


def test_scalar_arguments() -> None:
    assert lowered(lambda x, s: x * s, X, np.float32(2)) == ("scalar argument",)
    assert lowered(lambda x, s: x * s, X, np.ones(1, np.float32)) == ()


def test_text_that_is_no_program() -> None:
    with pytest.raises(ValueError, match="func public @main"):
        refused("")
