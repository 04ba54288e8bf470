"""`jax.random` within a program; keys are arguments."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax, random

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import Argument, f32

KEY = Argument((2,), "uint32")
STATE = Argument((4,), "uint32")
X = f32(32, 64)

RANDOM_NUMBERS = Group(
    "Random numbers",
    "Keys are those of threefry, jax's default, unless the program says otherwise. `cpu_init_params` initialises "
    "parameters on the host.",
    (
        construct("random_bits", lambda key: random.bits(key, (32, 64)), KEY),
        construct("random_uniform", lambda key: random.uniform(key, (32, 64)), KEY),
        construct("random_normal", lambda key: random.normal(key, (32, 64)), KEY),
        construct("random_truncated_normal", lambda key: random.truncated_normal(key, -2.0, 2.0, (32, 64)), KEY),
        construct("random_randint", lambda key: random.randint(key, (32,), 0, 10), KEY),
        construct("random_split", lambda key: random.split(key, 4), KEY),
        construct("random_fold_in", lambda key: random.fold_in(key, 3), KEY),
        construct("random_categorical", lambda key, x: random.categorical(key, x), KEY, X),
        construct("random_permutation", lambda key: random.permutation(key, 32), KEY),
        construct("random_gamma", lambda key: random.gamma(key, 2.0, (8,)), KEY),
        construct("dropout", lambda key, x: jnp.where(random.bernoulli(key, 0.9, x.shape), x / 0.9, 0), KEY, X),
        construct("rng_bit_generator", lambda s: lax.rng_bit_generator(s, (32, 64), dtype=jnp.uint32)[1], STATE),
        construct("rbg_uniform", lambda s: random.uniform(random.wrap_key_data(s, impl="rbg"), (32, 64)), STATE),
        construct("rng_uniform", lambda x: lax.rng_uniform(jnp.float32(0), jnp.float32(1), (32, 64)) + x, X),
        construct("key_from_seed", lambda seed: jax.random.PRNGKey(seed[0]), Argument((1,), "int32")),
    ),
)
