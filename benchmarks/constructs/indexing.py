"""Parts of arrays: slices, gathers, scatters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import bf16, f32, i32

X = f32(32, 64)
ROWS = i32(4)

INDEXING = Group(
    "Indexing",
    "Indices are traced unless they are written in the program. That a program compiles does not say what the card "
    "does with an index out of range.",
    (
        construct("slice", lambda x: x[3:9, ::2], X),
        construct("reverse", lambda x: x[:, ::-1], X),
        construct("roll", lambda x: jnp.roll(x, 3, axis=1), X),
        construct("dynamic_slice", lambda x, i: lax.dynamic_slice(x, (i[0], 0), (4, 64)), X, i32(1)),
        construct("dynamic_index", lambda x, i: lax.dynamic_index_in_dim(x, i[0], 0), X, i32(1)),
        construct("scalar_index", lambda x, i: x[i], X, i32()),
        construct(
            "dynamic_update_slice", lambda x, u, i: lax.dynamic_update_slice(x, u, (i[0], 0)), X, f32(4, 64), i32(1)
        ),
        construct("update_slice_constant", lambda x, u: lax.dynamic_update_slice(x, u, (8, 0)), X, f32(4, 64)),
        construct("set_slice", lambda x: x.at[2:5].set(0), X),
        construct(
            "cache_by_update_slice",
            lambda c, u, i: lax.dynamic_update_slice(c, u, (0, 0, i[0], 0)),
            bf16(1, 8, 128, 64),
            bf16(1, 8, 1, 64),
            i32(1),
        ),
        construct(
            "cache_by_where",
            lambda c, u, i: jnp.where((jnp.arange(128) == i[0])[None, None, :, None], u, c),
            bf16(1, 8, 128, 64),
            bf16(1, 8, 1, 64),
            i32(1),
        ),
        construct("rows", lambda x, i: x[i], X, ROWS),
        construct("columns", lambda x, i: jnp.take(x, i, axis=1), X, ROWS),
        construct("constant_rows", lambda x: x[np.array([1, 5, 2])], X),
        construct("take_clip", lambda x, i: jnp.take(x, i, axis=0, mode="clip"), X, ROWS),
        construct("take_fill", lambda x, i: jnp.take(x, i, axis=0, mode="fill"), X, ROWS),
        construct("embedding", lambda t, i: jnp.take(t, i, axis=0), f32(128, 64), i32(2, 16)),
        construct("elements", lambda x, i, j: x[i, j], X, ROWS, ROWS),
        construct("mixed", lambda x, i, j: x[i, :, j], f32(8, 32, 64), ROWS, ROWS),
        construct("last_token", lambda x, p: x[jnp.arange(4), p], f32(4, 32, 64), ROWS),
        construct("take_along_axis", lambda x, i: jnp.take_along_axis(x, i, 1), X, i32(32, 4)),
        construct(
            "vmapped_slice", lambda x, i: jax.vmap(lambda r, j: lax.dynamic_slice(r, (j,), (8,)))(x, i), X, i32(32)
        ),
        construct("nonzero_of_size", lambda x: jnp.nonzero(x > 0, size=8), f32(64)),
        construct("searchsorted", lambda x, v: jnp.searchsorted(x, v), f32(64), f32(8)),
        construct("one_hot", lambda i: jax.nn.one_hot(i, 64), i32(32)),
        construct("scatter_set", lambda x, i, u: x.at[i].set(u), X, ROWS, f32(4, 64)),
        construct("scatter_add", lambda x, i, u: x.at[i].add(u), X, ROWS, f32(4, 64)),
        construct("scatter_multiply", lambda x, i, u: x.at[i].multiply(u), X, ROWS, f32(4, 64)),
        construct("scatter_max", lambda x, i, u: x.at[i].max(u), X, ROWS, f32(4, 64)),
        construct("scatter_apply", lambda x, i: x.at[i].apply(jnp.sin), X, ROWS),
        construct("scatter_elements", lambda x, i, j, u: x.at[i, j].set(u), X, ROWS, ROWS, f32(4)),
        construct("bincount", lambda x: jnp.bincount(x, length=16), i32(64)),
        construct(
            "embedding_gradient",
            lambda t, i: jax.grad(lambda t: (jnp.take(t, i, axis=0) ** 2).sum())(t),
            f32(128, 64),
            i32(2, 16),
        ),
    ),
)
