"""Sums and the like, scans along an axis, sorts, windows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import f32, i32

X = f32(32, 64)
IMAGE = f32(1, 16, 16, 32)
ZERO = np.float32(0)

REDUCTIONS = Group(
    "Reductions, scans, sorts",
    "`ttnn.prod` in the record of a reduction by another function than a product means that the card computes "
    "something else than was asked for.",
    (
        construct("sum", lambda x: jnp.sum(x, axis=-1), X),
        construct("sum_of_all", lambda x: jnp.sum(x), X),
        construct("mean", lambda x: jnp.mean(x, axis=0), X),
        construct("var", lambda x: jnp.var(x, axis=-1), X),
        construct("max", lambda x: jnp.max(x, axis=-1), X),
        construct("prod", lambda x: jnp.prod(x, axis=-1), X, watched=("prod",)),
        construct("any", lambda x: jnp.any(x > 0, axis=-1), X),
        construct("argmax", lambda x: jnp.argmax(x, axis=-1), X),
        construct("logsumexp", lambda x: jax.nn.logsumexp(x, axis=-1), X),
        construct("softmax", lambda x: jax.nn.softmax(x, axis=-1), X),
        construct("cumsum", lambda x: jnp.cumsum(x, axis=-1), X),
        construct("cumprod", lambda x: jnp.cumprod(x, axis=-1), X),
        construct("cummax", lambda x: lax.cummax(x, axis=1), X),
        construct("sort", lambda x: jnp.sort(x, axis=-1), X),
        construct("argsort", lambda x: jnp.argsort(x, axis=-1), X),
        construct(
            "sort_by_two_keys",
            lambda x, y: lax.sort((x, y), num_keys=2),
            f32(64),
            f32(64),
            note="sorts by the first key only",
            watched=("sort",),
        ),
        construct("top_k", lambda x: lax.top_k(x, 4), X),
        construct("median", lambda x: jnp.median(x, axis=-1), X),
        construct("unique_of_size", lambda x: jnp.unique(x, size=8), i32(64)),
        construct("histogram", lambda x: jnp.histogram(x, bins=8)[0], f32(64)),
        construct(
            "reduce_a_plus_2b",
            lambda x: lax.reduce(x, ZERO, lambda a, b: a + 2 * b, (1,)),
            X,
            note="`ttnn.prod`: computes the product",
            watched=("prod",),
        ),
        construct(
            "reduce_a_plus_b_squared",
            lambda x: lax.reduce(x, ZERO, lambda a, b: a + b * b, (1,)),
            X,
            note="`ttnn.prod`: computes the product",
            watched=("prod",),
        ),
        construct("reduce_a_minus_b", lambda x: lax.reduce(x, ZERO, lambda a, b: a - b, (1,)), X),
        construct(
            "reduce_sum_from_one",
            lambda x: lax.reduce(x, np.float32(1), lax.add, (1,)),
            X,
            note="the initial value must be the neutral one: if no op adds it, it is dropped",
            watched=("add", "sum"),
        ),
        construct(
            "max_pool", lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"), IMAGE
        ),
        construct(
            "avg_pool", lambda x: lax.reduce_window(x, ZERO, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4, IMAGE
        ),
        construct(
            "max_pool_same",
            lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
            IMAGE,
        ),
        construct(
            "min_pool", lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"), IMAGE
        ),
        construct(
            "pool_1d", lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 1), (1, 2, 1), "VALID"), f32(1, 64, 32)
        ),
        construct(
            "pool_3d",
            lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 2, 1), (1, 2, 2, 2, 1), "VALID"),
            f32(1, 8, 8, 8, 32),
        ),
        construct(
            "pool_from_one",
            lambda x: lax.reduce_window(x, np.float32(1), lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
            IMAGE,
        ),
        construct(
            "pool_a_plus_2b",
            lambda x: lax.reduce_window(x, ZERO, lambda a, b: a + 2 * b, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
            IMAGE,
        ),
        construct(
            "max_pool_gradient",
            lambda x: jax.grad(
                lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID").sum()
            )(x),
            IMAGE,
        ),
    ),
)
