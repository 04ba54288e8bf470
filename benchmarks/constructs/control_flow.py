"""Loops and branches that are part of the compiled program."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import f32, i32

X = f32(32, 64)

CONTROL_FLOW = Group(
    "Control flow",
    "A Python loop is none of these: it is unrolled while the function is traced.",
    (
        construct("scan", lambda x: lax.scan(lambda c, row: (c + row, c * row), jnp.zeros(64), x), X),
        construct("scan_of_length", lambda x: lax.scan(lambda c, _: (c * 2, None), x, None, length=4)[0], X),
        construct(
            "scan_over_layers",
            lambda x, w: lax.scan(lambda c, layer: (jnp.tanh(c @ layer), None), x, w)[0],
            f32(32, 64),
            f32(4, 64, 64),
        ),
        construct(
            "scan_unrolled",
            lambda x: lax.scan(lambda c, row: (c + row, c * row), jnp.zeros(64), x[:4], unroll=True),
            X,
        ),
        construct(
            "scan_gradient",
            lambda x: jax.grad(lambda x: lax.scan(lambda c, r: (jnp.tanh(c * r), None), jnp.ones(64), x)[0].sum())(x),
            X,
        ),
        construct("map", lambda x: lax.map(lambda row: row * 2, x), X),
        construct("fori_loop", lambda x: lax.fori_loop(0, 5, lambda i, c: c * 2 + i, x), X),
        construct("fori_loop_traced", lambda x, n: lax.fori_loop(0, n[0], lambda i, c: c * 2, x), X, i32(1)),
        construct("while_loop", lambda x: lax.while_loop(lambda c: jnp.sum(c) < 100, lambda c: c * 2 + 1, x), X),
        construct(
            "nested_loops",
            lambda x: lax.fori_loop(0, 3, lambda i, c: lax.fori_loop(0, 2, lambda j, d: d + 1, c) * 2, x),
            X,
        ),
        construct("cond", lambda x, p: lax.cond(p[0] > 0, lambda y: y * 2, lambda y: y + 1, x), X, f32(1)),
        construct(
            "switch", lambda x, i: lax.switch(i[0], [lambda y: y * 2, lambda y: y + 1, lambda y: -y], x), X, i32(1)
        ),
        construct("associative_scan", lambda x: lax.associative_scan(jnp.add, x), X),
        construct("unrolled_python_loop", lambda x: [x := jnp.tanh(x) for _ in range(4)][-1], X),
    ),
)
