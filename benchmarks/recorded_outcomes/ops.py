"""`tests/jax/single_chip/ops`: one op each, all recorded as passing unless a case says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.programs import Argument, bf16, f32, i32
from benchmarks.recorded_outcomes.case import NUMBERS, Case, case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (32, 64)
FLOATS = ("float32", "bfloat16")

# Ops by how many arrays they take; those of the first two are tested with both types of `FLOATS`.
OF_ONE: dict[str, Callable[..., Any]] = {
    "abs": jnp.abs, "cosine": jnp.cos, "exponential": jnp.exp, "log": jnp.log, "negate": jnp.negative,
    "rsqrt": lax.rsqrt, "sine": jnp.sin, "sqrt": jnp.sqrt, "tanh": jnp.tanh,
}  # fmt: skip
OF_TWO: dict[str, Callable[..., Any]] = {
    "add": jnp.add, "divide": jnp.divide, "maximum": jnp.maximum, "minimum": jnp.minimum, "multiply": jnp.multiply,
    "power": jnp.power, "subtract": jnp.subtract,
}  # fmt: skip
IN_FLOAT32: dict[str, tuple[int, Callable[..., Any]]] = {
    "atan2": (2, jnp.arctan2), "cbrt": (1, jnp.cbrt), "ceil": (1, lax.ceil), "clamp": (3, lax.clamp),
    "compare_equal": (2, jnp.equal), "compare_not_equal": (2, jnp.not_equal), "compare_greater": (2, jnp.greater),
    "compare_greater_equal": (2, jnp.greater_equal), "compare_less": (2, jnp.less),
    "compare_less_equal": (2, jnp.less_equal), "exponential_minus_one": (1, jnp.expm1), "floor": (1, lax.floor),
    "log1p": (1, jnp.log1p), "reduce_and": (1, lambda x: jnp.all(x > 0.5)),
    "reduce_max": (1, jnp.max), "reduce_min": (1, jnp.min), "reduce_multiply": (1, jnp.prod),
    "reduce_or": (1, lambda x: jnp.any(x > 0.5)), "reduce_sum": (1, jnp.sum), "remainder": (2, lax.rem),
    "select": (3, lambda c, x, y: jnp.where(c > 0, x, y)), "sign": (1, jnp.sign), "transpose": (1, jnp.transpose),
}  # fmt: skip
IN_INT32: dict[str, tuple[int, Callable[..., Any]]] = {
    "bitwise_and": (2, jnp.bitwise_and), "bitwise_not": (1, jnp.bitwise_not), "bitwise_or": (2, jnp.bitwise_or),
    "bitwise_xor": (2, jnp.bitwise_xor), "logical_and": (2, jnp.logical_and), "logical_not": (1, jnp.logical_not),
    "logical_or": (2, jnp.logical_or), "logical_xor": (2, jnp.logical_xor), "reverse": (1, jnp.flip),
}  # fmt: skip

CONVOLUTIONS = (
    # out, in, side, kernel, stride, padding
    (64, 3, 224, 7, 2, 3), (256, 64, 56, 1, 1, 0), (64, 64, 56, 1, 1, 0), (64, 64, 56, 3, 1, 1), (64, 256, 56, 1, 1, 0),
    (512, 256, 56, 1, 2, 0), (128, 256, 56, 1, 2, 0), (128, 128, 28, 3, 1, 1), (512, 128, 28, 1, 1, 0),
    (128, 512, 28, 1, 1, 0), (1024, 512, 28, 1, 2, 0), (256, 512, 28, 1, 2, 0), (256, 256, 14, 3, 1, 1),
    (1024, 256, 14, 1, 1, 0), (256, 1024, 14, 1, 1, 0), (2048, 1024, 14, 1, 2, 0), (512, 1024, 14, 1, 2, 0),
    (512, 512, 7, 3, 1, 1), (2048, 512, 7, 1, 1, 0), (512, 2048, 7, 1, 1, 0), (64, 16, 115, 4, 1, 0),
    (64, 64, 8, 3, 1, 1), (64, 64, 16, 3, 1, 1), (256, 256, 7, 3, 1, 1), (256, 64, 56, 1, 2, 0),
)  # fmt: skip
CONVOLUTIONS_1D = ((512, 256, 1024), (256, 256, 512), (256, 512, 512), (512, 512, 1024))
"""length, in, out"""
POOLED = tuple((h, w, c) for h in (32, 128) for w in (32, 64) for c in (32, 128))
"""A part of the 27 image sizes that are tested."""
WINDOWS = ((2, 2, 0), (3, 2, 1))
"""side, stride, padding"""


def elementwise() -> Iterator[Case]:
    """Ops of whole arrays."""
    for arrays, ops in ((1, OF_ONE), (2, OF_TWO)):
        for name, op in ops.items():
            for size in SIZES:
                for dtype in FLOATS:
                    yield case(f"{name}[{dtype}-{size}]", op, *[Argument((size, size), dtype)] * arrays)
    for dtype, table in (("float32", IN_FLOAT32), ("int32", IN_INT32)):
        for name, (arrays, op) in table.items():
            for size in SIZES:
                yield case(f"{name}[{size}]", op, *[Argument((size, size), dtype)] * arrays)


def convolutions() -> Iterator[Case]:
    """Those of ResNet in bfloat16, and max pools."""
    for out, inputs, side, kernel, stride, padding in CONVOLUTIONS:
        yield case(
            f"convolution_2d[{out}-{inputs}-{side}-{kernel}-{stride}]",
            lambda x, w, s=stride, p=padding: lax.conv_general_dilated(
                x, w, (s, s), ((p, p), (p, p)), dimension_numbers=("NHWC", "OIHW", "NHWC")
            ),
            bf16(1, side, side, inputs),
            bf16(out, inputs, kernel, kernel),
        )
    for length, inputs, out in CONVOLUTIONS_1D:
        yield case(
            f"convolution_1d[{length}-{inputs}-{out}]",
            lambda x, w: lax.conv_general_dilated(x, w, (1,), ((0, 0),), dimension_numbers=("NCH", "OIH", "NCH")),
            bf16(1, inputs, length),
            bf16(out, inputs, 1),
        )
    for height, width, channels in POOLED:
        for side, stride, padding in WINDOWS:
            yield case(
                f"reduce_window_max[{height}-{width}-{channels}-{side}]",
                lambda x, n=side, s=stride, p=padding: lax.reduce_window(
                    x, -jnp.inf, lax.max, (1, n, n, 1), (1, s, s, 1), ((0, 0), (p, p), (p, p), (0, 0))
                ),
                bf16(1, height, width, channels),
            )


def shapes() -> Iterator[Case]:
    """Ops whose shapes are what is tested."""
    yield case("broadcast_in_dim", lambda x: jnp.broadcast_to(x, (2, 4)), f32(2, 1))
    for rank, (size, axis) in enumerate(((32, 0), (64, 1), (32, 2), (64, 3)), 2):
        rank = max(2, rank - 1)
        both = [f32(*[size] * rank)] * 2
        yield case(f"concatenate[{size}-{axis}]", lambda x, y, a=axis: jnp.concatenate([x, y], a), *both)
    for name, make in (("zeros", jnp.zeros), ("ones", jnp.ones)):
        for size in (32, 1):
            yield case(f"constant_{name}[{size}]", lambda m=make, n=size: m((n, n)))
    yield case("constant_multi_value", lambda: jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    for length in SIZES:
        yield case(f"iota[{length}]", lambda x, n=length: lax.iota(jnp.float32, n), f32(1))
    for before, after in (
        ((8, 32, 256), (2, 4, 32, 256)),
        ((8, 32, 32), (1, 2, 4, 32, 32)),
        ((8192, 128), (1, 256, 32, 128)),
    ):
        yield case(f"reshape[{before}]", lambda x, s=after: x.reshape(s), f32(*before))
    for axis in range(4):
        for begin, end in ((0, 96), (5, 95)) if axis < 2 else ((0, 64), (32, 96)):
            shape = [10] * 4
            shape[axis] = 128
            yield case(
                f"slice[{begin}-{end}-{axis}]",
                lambda x, b=begin, e=end, a=axis: lax.slice_in_dim(x, b, e, axis=a),
                f32(*shape),
            )
    for shape in ((32,), (32, 32), (1, 32, 32), (1, 3, 32, 32)):
        yield case(f"ranks_unary[{shape}]", lambda x: -x, f32(*shape))
        yield case(f"ranks_binary[{shape}]", lambda x, y: x + y, f32(*shape), f32(*shape))


def products() -> Iterator[Case]:
    """dot_general."""
    for name, dimensions, arrays in (
        ("common", ((1, 1), (0, 0)), (((1, 32), (1, 32)), ((1, 32, 64), (1, 32, 32)), ((2, 32, 64), (2, 32, 64)))),
        ("matmul", ((2, 1), (0, 0)), (((1, 32, 64), (1, 64, 32)), ((2, 32, 64), (2, 64, 64)))),
        ("multiple_contract", (((1, 3), (1, 2)), (0, 0)), (((1, 16, 16, 8), (1, 16, 8, 16)),)),
    ):
        (left, right), (batch_left, batch_right) = dimensions
        numbers = ((_axes(left), _axes(right)), (_axes(batch_left), _axes(batch_right)))
        for x, y in arrays:
            yield case(f"dot_general_{name}[{x}]", lambda x, y, n=numbers: lax.dot_general(x, y, n), f32(*x), f32(*y))


def _axes(axes: Any) -> tuple[int, ...]:
    return (axes,) if isinstance(axes, int) else tuple(axes)


def indexed() -> Iterator[Case]:
    """Gathers and scatters; those by two indices are recorded as wrong for want of integer inputs."""
    for shape, indices, offsets, axes, slices in (
        ((2048, 1, 200), (1, 6, 1), (2, 3), (0,), (1, 1, 200)),
        ((32000, 3200), (1, 6, 1), (2,), (0,), (1, 3200)),
        ((8, 26, 26, 192), (1,), (0, 1, 2), (3,), (8, 26, 26, 1)),
        ((8, 54, 54, 64), (1,), (0, 1, 2), (3,), (8, 54, 54, 1)),
        ((2, 7, 512), (2, 2), (1,), (0, 1), (1, 1, 512)),
        ((2, 7, 768), (2, 2), (1,), (0, 1), (1, 1, 768)),
    ):
        numbers = lax.GatherDimensionNumbers(offset_dims=offsets, collapsed_slice_dims=axes, start_index_map=axes)
        yield case(
            f"gather[{shape}]",
            lambda x, i, n=numbers, s=slices: lax.gather(x, i, dimension_numbers=n, slice_sizes=s),
            i32(*shape),
            i32(*indices),
            recorded=NUMBERS if len(axes) > 1 else "passes",
            reason="two indices" if len(axes) > 1 else "",
        )
    for name, op, shape, indices, updates, axes in (
        ("scatter", lax.scatter, (32, 32), (16, 1), (16, 32), (0,)),
        ("scatter", lax.scatter, (64, 64), (32, 1), (32, 64), (0,)),
        ("scatter", lax.scatter, (1, 3, 320, 320), (1, 1), (1, 3, 320, 320), (0,)),
        ("scatter", lax.scatter, (71, 32), (71, 4, 2), (71, 4), (0, 1)),
        ("scatter", lax.scatter, (1000, 32), (10, 1), (10, 32), (0,)),
        ("scatter_add", lax.scatter_add, (40, 32), (20, 1), (20, 32), (0,)),
    ):
        window = tuple(range(len(indices) - 1, len(updates)))
        scattered = lax.ScatterDimensionNumbers(window, axes, axes)
        yield case(
            f"{name}[{shape}]",
            lambda x, i, u, op=op, n=scattered: op(x, i, u, n),
            i32(*shape),
            i32(*indices),
            i32(*updates),
        )


def graphs() -> Iterator[Case]:
    """`tests/jax/single_chip/graphs`: a few ops each."""
    for size in (3, 32, 64):
        both = [f32(size, size)] * 2
        yield case(f"example_graph[{size}]", lambda x, y: jnp.exp(jnp.abs(x) / (jnp.abs(x) + y)), *both)
    for size in SIZES:
        square = f32(size, size)
        yield case(f"relu[{size}]", jax.nn.relu, square)
        for approximate in (False, True):
            yield case(f"gelu[{approximate}-{size}]", lambda x, a=approximate: jax.nn.gelu(x, approximate=a), square)
        for axis in (0, 1):
            yield case(f"softmax[{size}-{axis}]", lambda x, a=axis: jax.nn.softmax(x, axis=a), square)
        yield case(f"simple_gradient[{size}]", lambda x: jax.grad(lambda x: (x**2).sum())(x), square)
    for rows, inner in ((32, 32), (64, 64), (32, 64), (64, 32)):
        yield case(
            f"linear_transformation[{rows}-{inner}]",
            lambda x, w, b: x @ w + b,
            f32(rows, inner),
            f32(inner, rows),
            f32(1, rows),
        )
    yield case(
        "simple_regression",
        lambda w, b, x, y: w - jax.grad(lambda w: ((x @ w + b - y) ** 2).sum())(w),
        f32(1, 2),
        f32(1, 1),
        f32(2, 1),
        f32(1, 1),
    )


CASES = (*elementwise(), *convolutions(), *shapes(), *products(), *indexed(), *graphs())
