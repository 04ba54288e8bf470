"""Layers by their formulas: values, derivatives, and the composites that a card's compiler gets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.layers.encoder import LayerNorm, gelu
from zoo.layers.fused import gelu_tanh

if TYPE_CHECKING:
    from collections.abc import Callable

EPSILON = 1e-3
SCALE, BIAS = np.linspace(0.5, 1.5, 16, dtype=np.float32), np.linspace(-1.0, 1.0, 16, dtype=np.float32)


def layer_norm(x: jax.Array) -> Any:
    return LayerNorm(epsilon=EPSILON).apply({"params": {"scale": SCALE, "bias": BIAS}}, x)


def formula(x: jax.Array) -> jax.Array:
    return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + EPSILON) * SCALE + BIAS


@pytest.mark.parametrize(
    ("name", "layer", "expected"),
    [
        ("gelu", gelu, partial(jax.nn.gelu, approximate=False)),
        ("gelu_tanh", gelu_tanh, partial(jax.nn.gelu, approximate=True)),
        ("layer_norm", layer_norm, formula),
    ],
)
def test_layer(name: str, layer: Callable[..., jax.Array], expected: Callable[..., jax.Array]) -> None:
    x = jnp.asarray(np.random.default_rng(1).normal(size=(8, 16)), jnp.float32)
    jitted = jax.jit(layer)
    np.testing.assert_allclose(jitted(x), expected(x), atol=2e-6)
    assert f'composite "tenstorrent.{name}"' in jitted.lower(x).as_text()

    def weighted(function: Callable[..., jax.Array], x: jax.Array) -> jax.Array:
        return (function(x) * jnp.arange(16.0)).sum()

    of_layer, of_formula = (jax.jit(jax.grad(partial(weighted, function)))(x) for function in (layer, expected))
    np.testing.assert_allclose(of_layer, of_formula, atol=1e-4)


def test_norm_keeps_digits_where_the_mean_is_large() -> None:
    x = jnp.asarray(np.random.default_rng(2).normal(size=(4, 16)) + 1000.0, jnp.float32)
    wide = np.asarray(x, np.float64)
    rest = wide - wide.mean(-1, keepdims=True)
    expected = rest / np.sqrt((rest**2).mean(-1, keepdims=True) + EPSILON) * SCALE + BIAS
    np.testing.assert_allclose(layer_norm(x), expected, atol=2e-4)
