"""Shapes: changed, padded, of unusual rank or size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import f32, i32

X = f32(32, 64)
ZERO = np.float32(0)

SHAPES = Group(
    "Shapes",
    "",
    (
        construct("reshape", lambda x: x.reshape(64, 32) * 2, X),
        construct("transpose", lambda x: x.T, X),
        construct("transpose_rank_6", lambda x: jnp.transpose(x, (5, 3, 1, 0, 2, 4)) * 2, f32(2, 2, 2, 2, 4, 4)),
        construct("broadcast", lambda x: jnp.broadcast_to(x, (8, 32, 64)), X),
        construct("tile", lambda x: jnp.tile(x, (2, 3)), X),
        construct("repeat", lambda x: jnp.repeat(x, 2, axis=0), X),
        construct("concatenate", lambda x, y: jnp.concatenate([x, y], axis=1), X, X),
        construct("split", lambda x: jnp.split(x, 4, axis=1), X),
        construct("iota", lambda x: x + jnp.arange(64, dtype=jnp.float32), X),
        construct("pad", lambda x: jnp.pad(x, 1), X),
        construct("pad_negative", lambda x: lax.pad(x, ZERO, ((-1, 0, 0), (0, -2, 0))), X),
        construct("pad_interior", lambda x: lax.pad(x, ZERO, ((0, 0, 1), (0, 0, 0))), X),
        construct("pad_with_traced_value", lambda x: lax.pad(x, x[0, 0], ((1, 0, 0), (0, 0, 0))), X),
        construct("pad_edge", lambda x: jnp.pad(x, 1, mode="edge"), X),
        construct("rank_7", lambda x: (x + 1).sum((0, 3)), f32(2, 2, 2, 2, 2, 4, 4)),
        construct("size_zero", lambda x: jnp.concatenate([x, x + 1]), f32(0, 64)),
        construct("identity", lambda x: x, X),
        construct("constant", lambda: jnp.ones((32, 32))),
        construct("scalar_argument", lambda x, y: x + y, f32(), X),
        construct("scalar_arguments_only", lambda x, y: x * y, i32(), i32()),
        construct("resize_bilinear", lambda x: jax.image.resize(x, (1, 32, 32, 32), "bilinear"), f32(1, 16, 16, 32)),
    ),
)
