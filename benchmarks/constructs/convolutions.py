"""Convolutions of one, two and three dimensions, channels last unless the name says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
from jax import lax

from benchmarks.constructs.construct import Construct, Group, construct
from benchmarks.programs import Argument, bf16, f32

if TYPE_CHECKING:
    from collections.abc import Callable

LAYOUTS = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def convolve(x: jax.Array, w: jax.Array, strides: tuple[int, ...], padding: Any = "SAME", **settings: Any) -> jax.Array:
    """`lax.conv_general_dilated` in the usual layout of that many dimensions."""
    layout = settings.pop("layout", LAYOUTS[len(strides)])
    return lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=layout, **settings)


def convolution(name: str, function: Callable[..., Any], *arguments: Argument) -> Construct:
    """A construct of this group."""
    return construct(f"conv{name}", function, *arguments)


IMAGE, KERNEL = f32(1, 16, 16, 32), f32(3, 3, 32, 64)
DEPTHWISE = f32(3, 3, 1, 32)
VOLUME, CUBE = f32(1, 8, 8, 8, 32), f32(3, 3, 3, 32, 64)

CONVOLUTIONS = Group(
    "Convolutions",
    '`convolve(x, w, strides, padding="SAME", …)` is `lax.conv_general_dilated` with channels last.',
    (
        convolution("1d", lambda x, w: convolve(x, w, (1,)), f32(1, 128, 32), f32(3, 32, 64)),
        convolution(
            "1d_causal_depthwise",
            lambda x, w: convolve(x, w, (1,), ((3, 0),), feature_group_count=32),
            f32(1, 128, 32),
            f32(4, 1, 32),
        ),
        convolution("2d", lambda x, w: convolve(x, w, (1, 1)), IMAGE, KERNEL),
        convolution("2d_bf16", lambda x, w: convolve(x, w, (1, 1)), bf16(1, 16, 16, 32), bf16(3, 3, 32, 64)),
        convolution("2d_1x1_strided", lambda x, w: convolve(x, w, (2, 2), "VALID"), IMAGE, f32(1, 1, 32, 64)),
        convolution(
            "2d_channels_first",
            lambda x, w: convolve(x, w, (1, 1), layout=("NCHW", "OIHW", "NCHW")),
            f32(1, 32, 16, 16),
            f32(64, 32, 3, 3),
        ),
        convolution("2d_depthwise", lambda x, w: convolve(x, w, (1, 1), feature_group_count=32), IMAGE, DEPTHWISE),
        convolution("2d_dilated", lambda x, w: convolve(x, w, (1, 1), rhs_dilation=(2, 2)), IMAGE, KERNEL),
        convolution(
            "2d_transposed", lambda x, w: convolve(x, w, (1, 1), ((2, 2), (2, 2)), lhs_dilation=(2, 2)), IMAGE, KERNEL
        ),
        convolution("2d_uneven_padding", lambda x, w: convolve(x, w, (2, 2), ((0, 1), (1, 0))), IMAGE, KERNEL),
        convolution(
            "2d_batch_groups",
            lambda x, w: convolve(x, w, (1, 1), batch_group_count=2),
            f32(2, 16, 16, 32),
            KERNEL,
        ),
        convolution(
            "2d_gradient_of_kernel",
            lambda x, w: jax.grad(lambda w: (convolve(x, w, (1, 1)) ** 2).sum())(w),
            f32(2, 16, 16, 32),
            KERNEL,
        ),
        convolution(
            "2d_gradient_of_input",
            lambda x, w: jax.grad(lambda x: (convolve(x, w, (2, 2)) ** 2).sum())(x),
            f32(2, 16, 16, 32),
            KERNEL,
        ),
        convolution("3d", lambda x, w: convolve(x, w, (1, 1, 1)), VOLUME, CUBE),
        convolution("3d_dilated", lambda x, w: convolve(x, w, (1, 1, 1), rhs_dilation=(2, 2, 2)), VOLUME, CUBE),
        convolution("3d_strided", lambda x, w: convolve(x, w, (2, 2, 2)), VOLUME, CUBE),
        convolution("3d_uneven_padding", lambda x, w: convolve(x, w, (1, 1, 1), ((0, 1),) * 3), VOLUME, CUBE),
    ),
)
