"""Products, decompositions, transforms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.scipy.linalg as scipy_linalg
from jax import lax

from benchmarks.constructs.construct import Group, construct
from benchmarks.programs import Argument, bf16, f32, i32

X = f32(32, 64)
SQUARE = f32(32, 32)
PRECISE = ("math_fidelity = hifi4", "fp32_dest_acc_en = true")

LINEAR_ALGEBRA = Group(
    "Linear algebra",
    "Solve on the host, with numpy or on `jax.devices('cpu')`.",
    (
        construct("matmul", lambda x, y: x @ y, X, f32(64, 32), watched=PRECISE),
        construct("matmul_bf16", lambda x, y: x @ y, bf16(32, 64), bf16(64, 32)),
        construct(
            "matmul_bf16_to_f32",
            lambda x, y: lax.dot(x, y, preferred_element_type=jnp.float32),
            bf16(32, 64),
            bf16(64, 32),
        ),
        construct("matmul_highest", lambda x, y: lax.dot(x, y, precision="highest"), X, f32(64, 32), watched=PRECISE),
        construct("matmul_int32", lambda x, y: x @ y, i32(32, 64), i32(64, 32)),
        construct(
            "matmul_int8",
            lambda x, y: lax.dot(x, y, preferred_element_type=jnp.int32),
            Argument((32, 64), "int8"),
            Argument((64, 32), "int8"),
        ),
        construct(
            "einsum_attention",
            lambda q, k: jnp.einsum("bqhd,bkhd->bhqk", q, k),
            f32(2, 16, 4, 64),
            f32(2, 16, 4, 64),
        ),
        construct("einsum_two_axes", lambda x, y: jnp.einsum("bhd,hde->be", x, y), f32(2, 4, 64), f32(4, 64, 32)),
        construct("outer", lambda x, y: jnp.outer(x, y), f32(32), f32(64)),
        construct("tril", lambda x: jnp.tril(x), X),
        construct("norm", lambda x: jnp.linalg.norm(x, axis=-1), X),
        construct("cholesky", lambda x: jnp.linalg.cholesky(x), SQUARE),
        construct("triangular_solve", lambda x, y: scipy_linalg.solve_triangular(x, y, lower=True), SQUARE, f32(32, 4)),
        construct("solve", lambda x, y: jnp.linalg.solve(x, y), SQUARE, f32(32, 4)),
        construct("inv", lambda x: jnp.linalg.inv(x), SQUARE),
        construct("det", lambda x: jnp.linalg.det(x), SQUARE),
        construct("qr", lambda x: jnp.linalg.qr(x), SQUARE),
        construct("eigh", lambda x: jnp.linalg.eigh(x), SQUARE),
        construct("svd", lambda x: jnp.linalg.svd(x), SQUARE),
        construct("fft", lambda x: jnp.abs(jnp.fft.fft(x)), X),
        construct("rfft", lambda x: jnp.abs(jnp.fft.rfft(x)), X),
        construct("matmul_gradient", lambda x, y: jax.grad(lambda y: ((x @ y) ** 2).sum())(y), X, f32(64, 32)),
    ),
)
