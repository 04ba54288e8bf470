"""Small programs: what TT's compiler makes of them, or says to them, is recorded beside this file by record.py.

Each function takes a mesh and gives a function to jit, with its arguments as shapes. The lines are part of what is
recorded: after a change, record again.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

Case = tuple[Any, tuple[Any, ...]]


EVERYWHERE = P()


def shaped(mesh: Mesh, *shapes: tuple[int, ...], spec: P = EVERYWHERE, dtype: Any = np.float32) -> tuple[Any, ...]:
    return tuple(jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, spec)) for shape in shapes)


# Taken.


def mlp(mesh: Mesh) -> Case:
    def run(x: Any, w: Any, b: Any, v: Any) -> Any:
        hidden = jax.nn.relu(x @ w + b)
        return hidden @ v

    return run, shaped(mesh, (8, 64), (64, 128), (128,), (128, 32))


def low_precision(mesh: Mesh) -> Case:
    def run(x: Any, w: Any) -> Any:
        return jnp.tanh(x @ w).reshape(4, 32, 96)

    return run, shaped(mesh, (128, 64), (64, 96), dtype=jnp.bfloat16)


def loop(mesh: Mesh) -> Case:
    def step(carry: Any, row: Any) -> Any:
        return carry @ row, None

    def run(x: Any, rows: Any) -> Any:
        return lax.scan(step, x, rows)[0]

    return run, shaped(mesh, (32, 32), (6, 32, 32))


def branches(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return lax.cond(x[0, 0] > 0, lambda y: jnp.sin(y) @ y, jnp.cos, x)

    return run, shaped(mesh, (32, 32))


def convolution(mesh: Mesh) -> Case:
    def run(x: Any, kernel: Any) -> Any:
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    return run, shaped(mesh, (2, 16, 16, 32), (3, 3, 32, 64))


def constants(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return x * jnp.sin(jnp.arange(4096, dtype=jnp.float32))

    return run, shaped(mesh, (64, 4096))


def tensor_parallel(mesh: Mesh) -> Case:
    def run(x: Any, w: Any, v: Any) -> Any:
        return jnp.tanh(x @ w) @ v

    (x,) = shaped(mesh, (32, 64))
    (w,) = shaped(mesh, (64, 128), spec=P(None, "model"))
    (v,) = shaped(mesh, (128, 64), spec=P("model", None))
    return run, (x, w, v)


def collectives(mesh: Mesh) -> Case:
    def on_a_chip(x: Any) -> Any:
        pairs = [(k, (k + 1) % mesh.shape["model"]) for k in range(mesh.shape["model"])]
        y = lax.psum(x, "model") + lax.ppermute(x, "model", pairs)
        z = lax.all_gather(y, "model", axis=1, tiled=True)
        return lax.psum_scatter(z, "model", scatter_dimension=1, tiled=True)

    run = jax.shard_map(on_a_chip, mesh=mesh, in_specs=P("batch", "model"), out_specs=P("batch", "model"))
    return run, shaped(mesh, (64, 256), spec=P("batch", "model"))


def exchanges(mesh: Mesh) -> Case:
    there = [(k, (k + 1) % mesh.shape["model"]) for k in range(mesh.shape["model"])]
    back = [(to, since) for since, to in there]

    def on_a_chip(x: Any) -> Any:
        y = lax.ppermute(x, "model", there) + lax.ppermute(x, "model", back)
        return lax.all_to_all(y, "model", 1, 0, tiled=True)

    run = jax.shard_map(on_a_chip, mesh=mesh, in_specs=P("batch", "model"), out_specs=P(("batch", "model"), None))
    return run, shaped(mesh, (64, 256), spec=P("batch", "model"))


# Refused.


def cholesky(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return jnp.linalg.cholesky(x @ x.T)

    return run, shaped(mesh, (32, 32))


def solve(mesh: Mesh) -> Case:
    def run(x: Any, y: Any) -> Any:
        return jax.scipy.linalg.solve_triangular(x, y, lower=True)

    return run, shaped(mesh, (32, 32), (32, 4))


def inverse(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return jnp.linalg.inv(x)

    return run, shaped(mesh, (32, 32))


def qr(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return jnp.linalg.qr(x)

    return run, shaped(mesh, (32, 32))


def eigenvalues(mesh: Mesh) -> Case:
    def symmetric(x: Any) -> Any:
        return jnp.linalg.eigh(x + x.T)[0]

    def run(x: Any) -> Any:
        return symmetric(x) * 2

    return run, shaped(mesh, (32, 32))


def fft(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return jnp.abs(jnp.fft.fft(x))

    return run, shaped(mesh, (32, 64))


def callback(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    return run, shaped(mesh, (32, 32))


def printing(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        jax.debug.print("{}", x[0, 0])
        return x * 2

    return run, shaped(mesh, (32, 32))


def int4(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return x.astype(jnp.int4).astype(jnp.float32)

    return run, shaped(mesh, (32, 32))


def float8(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return x.astype(jnp.float8_e4m3fn).astype(jnp.float32)

    return run, shaped(mesh, (32, 32))


def float8_argument(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return x.astype(jnp.float32) * 2

    return run, shaped(mesh, (32, 32), dtype=jnp.float8_e4m3fn)


def pooling(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return lax.reduce_window(x, 1.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    return run, shaped(mesh, (1, 8, 8, 32))


def convolution_3d(mesh: Mesh) -> Case:
    def run(x: Any, kernel: Any) -> Any:
        padding = ((0, 1), (0, 1), (0, 1))
        return lax.conv_general_dilated(x, kernel, (1, 1, 1), padding, dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))

    return run, shaped(mesh, (1, 8, 8, 8, 32), (2, 2, 2, 32, 32))


def reduction(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return lax.reduce(x, np.float32(0), lambda a, b: jnp.maximum(jnp.abs(a), jnp.abs(b)), (1,))

    return run, shaped(mesh, (32, 64))


def width(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return lax.bitcast_convert_type(x, jnp.int8)

    return run, shaped(mesh, (32, 64))


def both_axes(mesh: Mesh) -> Case:
    def on_a_chip(x: Any) -> Any:
        return lax.psum(x, ("batch", "model"))

    run = jax.shard_map(on_a_chip, mesh=mesh, in_specs=P("batch", "model"), out_specs=P())
    return run, shaped(mesh, (64, 128), spec=P("batch", "model"))


def uneven(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return lax.with_sharding_constraint(x, NamedSharding(mesh, P("model", None))) * 2

    return run, shaped(mesh, (63, 130))


def resharding(mesh: Mesh) -> Case:
    def run(x: Any) -> Any:
        return lax.with_sharding_constraint(x * 2, NamedSharding(mesh, P("model", "batch")))

    return run, shaped(mesh, (64, 128), spec=P("batch", "model"))


def four_by_two(mesh: Mesh) -> Case:
    def on_a_chip(x: Any) -> Any:
        return lax.psum(x, "batch")

    run = jax.shard_map(on_a_chip, mesh=mesh, in_specs=P("batch", "model"), out_specs=P(None, "model"))
    return run, shaped(mesh, (64, 128), spec=P("batch", "model"))


def three_axes(mesh: Mesh) -> Case:
    mesh = Mesh(mesh.devices.reshape(2, 2, 2), ("x", "y", "z"))

    def on_a_chip(x: Any) -> Any:
        return lax.psum(x, "y")

    run = jax.shard_map(on_a_chip, mesh=mesh, in_specs=P("x", "y"), out_specs=P("x", None))
    return run, shaped(mesh, (64, 128), spec=P("x", "y"))


def without_shardy(mesh: Mesh) -> Case:  # compiled with jax_use_shardy_partitioner=False
    def run(x: Any) -> Any:
        return x * 2

    return run, shaped(mesh, (64, 128), spec=P(None, "model"))


# Taken, too: at the end, so that the lines above stay as they were recorded.


def caching(mesh: Mesh) -> Case:
    """Keys of one token are written into the cache of three rows, each at a position of its own, in place."""
    from jax.experimental.xla_metadata import set_xla_metadata

    def in_place(cache: Any, new: Any, positions: Any) -> Any:
        kind = jax.ShapeDtypeStruct(cache.shape, cache.dtype)
        with set_xla_metadata(batch_offset="0"):
            return jax.ffi.ffi_call("tt.update_cache", kind, input_output_aliases={0: 0})(cache, new, positions)

    def selected(cache: Any, new: Any, positions: Any) -> Any:
        here = jnp.arange(cache.shape[2]) == positions[:, None]
        return jnp.where(here[:, None, :, None], new.transpose(2, 1, 0, 3), cache)

    def run(cache: Any, new: Any, first: Any) -> Any:
        positions = first + jnp.arange(0, 60, 20, dtype=jnp.int32)
        written = lax.platform_dependent(cache, new, positions, tt=in_place, default=selected)
        return lax.with_sharding_constraint(written, NamedSharding(mesh, heads))

    heads = P(None, "model")
    arguments = shaped(mesh, (3, 4, 64, 32), (1, 4, 3, 32), spec=heads) + shaped(mesh, (3,), dtype=np.int32)
    return run, arguments


TAKEN = {
    "1x1": (mlp, low_precision, loop, branches, convolution, constants),
    "1x2": (tensor_parallel, caching),
    "2x4": (collectives, exchanges),
}
REFUSED = {
    "1x1": (cholesky, solve, inverse, qr, eigenvalues, fft, callback, printing, int4, float8, float8_argument, pooling,
            convolution_3d, reduction, width),
    "1x2": (without_shardy,),
    "2x4": (both_axes, uneven, resharding, three_axes),
    "4x2": (four_by_two,),
}  # fmt: skip
# Of these the first stage is recorded, too.
SENDING = (collectives, exchanges)
