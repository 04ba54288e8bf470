"""Programs that call back into Python."""

from __future__ import annotations

import jax
import numpy as np
from jax.experimental import io_callback

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import f32

X = f32(32, 64)

HOST = Group(
    "Callbacks",
    "",
    (
        construct(
            "pure_callback", lambda x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x) + x, X
        ),
        construct(
            "io_callback", lambda x: io_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x, ordered=True), X
        ),
        construct("debug_print", lambda x: (jax.debug.print("{}", x[0, 0]), x * 2)[1], X),
    ),
)
