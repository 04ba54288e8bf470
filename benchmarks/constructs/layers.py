"""Blocks of models, written with plain jax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import f32, i32

X = f32(4, 32, 64)


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    """Over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + bias


def rms_norm(x: jax.Array, scale: jax.Array) -> jax.Array:
    """Over the last axis."""
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * scale


def rotary(x: jax.Array) -> jax.Array:
    """Rotary position embedding by halves; x is (batch, length, features)."""
    half = x.shape[-1] // 2
    angle = jnp.arange(x.shape[1])[:, None] * 10000.0 ** (-jnp.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate(
        [first * jnp.cos(angle) - second * jnp.sin(angle), second * jnp.cos(angle) + first * jnp.sin(angle)], -1
    )


def batch_norm(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    """With the statistics of the batch."""
    mean, var = x.mean((0, 1)), x.var((0, 1))
    return (x - mean) * lax.rsqrt(var + 1e-5) * scale + bias


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over all positions."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1).mean()


def adam(p: jax.Array, g: jax.Array, m: jax.Array, v: jax.Array, count: jax.Array) -> tuple[jax.Array, ...]:
    """A step of Adam with bias correction."""
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return p - 1e-3 * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8), m, v, count + 1


def biased_attention(q: jax.Array, k: jax.Array, v: jax.Array, bias: jax.Array) -> jax.Array:
    """Of (batch, heads, length, features), with a bias of the scores."""
    return jax.nn.softmax(q @ k.mT / 8 + bias) @ v


def cache_in_place(cache: jax.Array, new: jax.Array, at: jax.Array) -> jax.Array:
    """A slot of each row of a cache of keys, (batch, heads, slots, features), written by TT's own op."""

    def in_place(*operands: jax.Array) -> jax.Array:
        with set_xla_metadata(batch_offset="0"):
            return jax.ffi.ffi_call("tt.update_cache", cache, input_output_aliases={0: 0})(*operands)

    def selected(cache: jax.Array, new: jax.Array, at: jax.Array) -> jax.Array:
        here = jnp.arange(cache.shape[2]) == at[:, None]
        return jnp.where(here[:, None, :, None], new.transpose(2, 1, 0, 3), cache)

    return lax.platform_dependent(cache, new, at, tt=in_place, default=selected)


CACHE = f32(2, 4, 64, 32)
W = f32(32, 64)

LAYERS = Group(
    "Blocks of models",
    "",
    (
        construct("layer_norm", layer_norm, X, f32(64), f32(64)),
        construct("rms_norm", rms_norm, X, f32(64)),
        construct("attention_with_bias", biased_attention, CACHE, CACHE, CACHE, f32(2, 4, 64, 64)),
        construct("attention_of_one_query", biased_attention, f32(2, 4, 1, 32), CACHE, CACHE, f32(2, 4, 1, 64)),
        construct("cache_in_place", cache_in_place, CACHE, f32(1, 4, 2, 32), i32(2)),
        construct("batch_norm", batch_norm, X, f32(64), f32(64)),
        construct("rotary", rotary, X),
        construct(
            "attention",
            lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True),
            *[f32(1, 64, 8, 64)] * 3,
        ),
        construct("cross_entropy", cross_entropy, X, i32(4, 32)),
        construct("cross_entropy_gradient", lambda x, y: jax.grad(cross_entropy)(x, y), X, i32(4, 32)),
        construct("adam", adam, W, W, W, W, i32(1)),
        construct(
            "mlp_gradient",
            lambda x, w, v: jax.grad(lambda w, v: ((jax.nn.relu(x @ w) @ v) ** 2).mean(), argnums=(0, 1))(w, v),
            f32(32, 64),
            f32(64, 128),
            f32(128, 8),
        ),
        construct(
            "rematerialised",
            lambda x, w: jax.grad(lambda w: jax.checkpoint(lambda y: jnp.tanh(y @ w).sum())(x))(w),
            f32(32, 64),
            f32(64, 64),
        ),
    ),
)
