"""Functions of single elements."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.scipy.special as special
from jax import lax

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import Argument, bf16, f32, i32

X = f32(32, 64)
I = i32(32, 64)  # noqa: E741
U = Argument((32, 64), "uint32")

ELEMENTWISE = Group(
    "Elementwise",
    "On arrays of 32x64, float32 unless the dtype is shown.",
    (
        construct("abs", lambda x: jnp.abs(x), X),
        construct("add", lambda x, y: x + y, X, X),
        construct("add_bf16", lambda x, y: x + y, bf16(32, 64), bf16(32, 64)),
        construct("divide", lambda x, y: x / y, X, X),
        construct("floor_divide", lambda x, y: x // y, X, X),
        construct("remainder", lambda x, y: jnp.remainder(x, y), X, X),
        construct("power", lambda x, y: x**y, X, X),
        construct("integer_power", lambda x: x**3, X),
        construct("maximum", lambda x, y: jnp.maximum(x, y), X, X),
        construct("clip", lambda x: jnp.clip(x, -1, 1), X),
        construct("where", lambda x, y: jnp.where(x > 0, x, y), X, X),
        construct("isnan", lambda x: jnp.isnan(x), X),
        construct("exp", lambda x: jnp.exp(x), X),
        construct("expm1", lambda x: jnp.expm1(x), X),
        construct("log", lambda x: jnp.log(x), X),
        construct("log1p", lambda x: jnp.log1p(x), X),
        construct("sqrt", lambda x: jnp.sqrt(x), X),
        construct("rsqrt", lambda x: lax.rsqrt(x), X),
        construct("cbrt", lambda x: jnp.cbrt(x), X),
        construct("sin", lambda x: jnp.sin(x), X),
        construct("tan", lambda x: jnp.tan(x), X),
        construct("arctan2", lambda x, y: jnp.arctan2(x, y), X, X),
        construct("arcsinh", lambda x: jnp.arcsinh(x), X),
        construct("tanh", lambda x: jnp.tanh(x), X),
        construct("sigmoid", lambda x: jax.nn.sigmoid(x), X),
        construct("erf", lambda x: special.erf(x), X),
        construct("erf_inv", lambda x: special.erfinv(x), X),
        construct("gammaln", lambda x: special.gammaln(x), X),
        construct("digamma", lambda x: special.digamma(x), X),
        construct("gelu_exact", lambda x: jax.nn.gelu(x, approximate=False), X),
        construct("gelu_tanh", lambda x: jax.nn.gelu(x, approximate=True), X),
        construct("silu", lambda x: jax.nn.silu(x), X),
        construct("softplus", lambda x: jax.nn.softplus(x), X),
        construct("sign", lambda x: jnp.sign(x), X),
        construct("floor", lambda x: jnp.floor(x), X),
        construct("round", lambda x: jnp.round(x), X),
        construct("round_half_away", lambda x: lax.round(x), X),
        construct("reduce_precision", lambda x: lax.reduce_precision(x, 8, 7), X),
        construct("nextafter", lambda x, y: jnp.nextafter(x, y), X, X),
        construct("logical_and", lambda x, y: jnp.logical_and(x, y), I, I),
        construct("bitwise_xor", lambda x, y: x ^ y, I, I),
        construct("shift_left", lambda x: x << 2, I),
        construct("shift_right_signed", lambda x: x >> 2, I),
        construct("shift_right_unsigned", lambda x: x >> 2, U),
        construct("popcount", lambda x: lax.population_count(x), U),
        construct("count_leading_zeros", lambda x: lax.clz(x), U),
    ),
)
