"""Types of arguments and results, and of values within a program."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import Argument, f32

ARGUMENTS = (
    "bfloat16", "float16", "float64", "int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64", "int4", "uint4",
    "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn",
)  # fmt: skip
WITHIN = ("bfloat16", "float16", "int8", "int16", "int4", "float8_e4m3fn", "float8_e5m2")
WIDE = ("float64", "int64", "uint64")

C = Argument((32, 64), "complex64")

DTYPES = Group(
    "Types",
    "64-bit types with `jax_enable_x64`. That a type is taken does not say that it is kept: 64-bit types are stored as "
    "32-bit ones.",
    (
        *(
            construct(f"argument_{name}", lambda x: x + x, Argument((32, 64), name), x64=name in WIDE)
            for name in ARGUMENTS
        ),
        construct("argument_bool", lambda x: ~x, Argument((32, 64), "bool")),
        *(
            construct(f"within_{name}", lambda x, name=name: x.astype(name).astype(jnp.float32) * 2, f32(32, 64))
            for name in WITHIN
        ),
        construct("bitcast", lambda x: lax.bitcast_convert_type(x, jnp.int32), f32(32, 64)),
        construct("bitcast_to_bytes", lambda x: lax.bitcast_convert_type(x, jnp.uint8), f32(32, 64)),
        construct("complex_argument", lambda x: x * x, C),
        construct("complex_abs", lambda x: jnp.abs(x), C),
        construct("complex_exp", lambda x: jnp.exp(x), C),
        construct("complex_matmul", lambda x: x @ x.T, C),
        construct(
            "complex_within", lambda x, y: jnp.real(lax.complex(x, y) * lax.complex(y, x)), f32(32, 64), f32(32, 64)
        ),
    ),
)
