"""What convolutions and pools compute, against sums written out in NumPy."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated

from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.numerics import STORAGE, chip

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((2, 5, 4, 4)).astype(np.float32)  # batch, height, width, channels
FLAT = jnp.asarray(IMAGE.reshape(1, 1, 40, 4))
WEIGHTS = RNG.standard_normal((6, 2, 3, 2)).astype(np.float32)  # out, in of one of two groups, height, width
CONFIG = "conv2d_config = #ttnn.conv2d_config<enable_kernel_stride_folding = false>"
SHAPE = (
    "batch_size = 2 : i32, in_channels = 4 : i32, input_height = 5 : i32, input_width = 4 : i32, "
    "kernel_size = array<i32: 3, 2>, out_channels = 6 : i32"
)


def windows(x: np.ndarray, size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> np.ndarray:
    """All windows of [batch, …, channels], as [batch, places …, window …, channels]."""
    reach = [by * (n - 1) + 1 for n, by in zip(size, dilation, strict=True)]
    counts = [(n - over) // by + 1 for n, over, by in zip(x.shape[1:-1], reach, stride, strict=True)]
    out = np.empty((x.shape[0], *counts, *size, x.shape[-1]), x.dtype)
    for place in itertools.product(*map(range, counts)):
        part = tuple(
            slice(p * by, p * by + over, step) for p, by, over, step in zip(place, stride, reach, dilation, strict=True)
        )
        out[(slice(None), *place)] = x[(slice(None), *part)]
    return out


def convolved(x: np.ndarray, w: np.ndarray, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int):
    """The convolution without padding, group by group."""
    letters = "xyz"[: w.ndim - 2]
    spec = f"n{letters.upper()}{letters}i,oi{letters}->n{letters.upper()}o"
    parts = [
        np.einsum(spec, windows(part, w.shape[2:], stride, dilation), of)
        for part, of in zip(np.split(x, groups, -1), np.split(w, groups), strict=True)
    ]
    return np.concatenate(parts, -1)


def conv2d(settings: str, rows: int, *operands: object, **given: object) -> np.ndarray:
    """What conv2d makes of the image; `rows` are those of the result."""
    types = ", ".join(
        "!ttnn.device" if x is None else f"tensor<{'x'.join(map(str, x.shape))}xf32>" for x in (FLAT, *operands)
    )
    attributes = f"{SHAPE}, {settings}"
    return np.asarray(
        emulated("conv2d", attributes, f"({types}) -> tensor<1x1x{rows}x6xf32>", FLAT, *operands, **given)
    )


def test_conv2d_with_four_paddings_groups_and_bias() -> None:
    padded = np.pad(IMAGE, ((0, 0), (1, 2), (0, 3), (0, 0)))  # top 1, bottom 2, left 0, right 3
    bias = RNG.standard_normal(6).astype(np.float32)
    expected = convolved(padded, WEIGHTS, (2, 1), (1, 2), 2) + bias
    settings = (
        f"stride = array<i32: 2, 1>, padding = array<i32: 1, 2, 0, 3>, dilation = array<i32: 1, 2>, groups = 2 : i32, "
        f"{CONFIG}"
    )
    found = conv2d(settings, 2 * 3 * 5, jnp.asarray(WEIGHTS), jnp.asarray(bias.reshape(1, 1, 1, 6)), None)
    np.testing.assert_allclose(found, expected.reshape(1, 1, 30, 6), atol=1e-5)


PLAIN = "stride = array<i32: 1, 1>, padding = array<i32: 0, 1>, dilation = array<i32: 1, 1>, groups = 2 : i32"


def test_conv2d_with_activation_and_formats() -> None:
    expected = convolved(np.pad(IMAGE, ((0, 0), (0, 0), (1, 1), (0, 0))), WEIGHTS, (1, 1), (1, 1), 2)
    fused = f"{PLAIN}, conv2d_config = #ttnn.conv2d_config<weights_dtype = bfp_bf8, activation = <op_type = relu>>"
    exact = conv2d(fused, 30, jnp.asarray(WEIGHTS), None)
    np.testing.assert_allclose(exact, np.maximum(expected, 0).reshape(1, 1, 30, 6), atol=1e-5)
    stored = conv2d(fused, 30, jnp.asarray(WEIGHTS), None, numerics=STORAGE)
    assert 1e-4 < np.abs(stored - exact).max() < 0.2  # weights of 7 bits
    coarse = (
        f"{PLAIN}, {CONFIG}, "
        "compute_config = #ttnn.device_compute_kernel_config<math_fidelity = lofi, fp32_dest_acc_en = true>"
    )
    lofi = conv2d(coarse, 30, jnp.asarray(WEIGHTS), None, numerics=chip("wormhole"))
    assert 1e-3 < np.abs(lofi - expected.reshape(1, 1, 30, 6)).max() < 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("activation = <op_type = clamp, params = [0.0, 1.0]>", "expected one without parameters"),
        ("activation = <op_type = unheard_of>", "activation unheard_of: not known"),
        ("sparse = true", "its configuration has sparse: not known"),
    ],
)
def test_a_configuration_that_is_not_known_is_an_error(config: str, message: str) -> None:
    with pytest.raises(EmulationError, match=message):
        conv2d(f"{PLAIN}, conv2d_config = #ttnn.conv2d_config<{config}>", 30, jnp.asarray(WEIGHTS), None)


def test_conv1d() -> None:
    signal = IMAGE[:, :, 0]
    weights = WEIGHTS[..., 0]
    attributes = (
        "batch_size = 2 : i32, in_channels = 4 : i32, input_length = 5 : i32, kernel_size = 3 : i32, "
        "out_channels = 6 : i32, stride = 2 : i32, padding = array<i32: 2, 0>, dilation = 1 : i32, groups = 2 : i32"
    )
    types = "(tensor<2x5x4xf32>, tensor<6x2x3xf32>, !ttnn.device) -> tensor<1x1x6x6xf32>"
    found = emulated("conv1d", attributes, types, jnp.asarray(signal), jnp.asarray(weights), None)
    expected = convolved(np.pad(signal, ((0, 0), (2, 0), (0, 0))), weights, (2,), (1,), 2)
    np.testing.assert_allclose(found, expected.reshape(1, 1, 6, 6), atol=1e-5)


@pytest.mark.parametrize("block", [2, 0])
def test_conv3d_with_prepared_weights(block: int) -> None:
    volume = RNG.standard_normal((1, 3, 4, 3, 4)).astype(np.float32)
    weights = RNG.standard_normal((5, 4, 2, 3, 1)).astype(np.float32)
    prepare = f"groups = 1 : i32, c_in_block = {block} : i32, alignment = 4 : i32"
    types = "(tensor<5x4x2x3x1xf32>, !ttnn.device) -> tensor<24x5xf32>"
    prepared = emulated("prepare_conv3d_weights", prepare, types, jnp.asarray(weights), None)
    attributes = (
        "batch_size = 1 : i32, in_channels = 4 : i32, out_channels = 5 : i32, input_depth = 3 : i32, input_height = 4 "
        ": i32, input_width = 3 : i32, kernel_size = array<i32: 2, 3, 1>, stride = array<i32: 1, 1, 2>, padding = "
        'array<i32: 0, 1, 0>, padding_mode = "zeros", groups = 1 : i32, conv3d_config = #ttnn.conv3d_config<'
        f"c_in_block = {block}>"
    )
    types = "(tensor<1x3x4x3x4xf32>, tensor<24x5xf32>, !ttnn.device) -> tensor<1x2x4x2x5xf32>"
    found = emulated("conv3d", attributes, types, jnp.asarray(volume), prepared, None)
    padded = np.pad(volume, ((0, 0), (0, 0), (1, 1), (0, 0), (0, 0)))
    np.testing.assert_allclose(found, convolved(padded, weights, (1, 1, 2), (1, 1, 1), 1), atol=1e-5)


@pytest.mark.parametrize(
    ("padding", "cut"),
    [("1, 0", (slice(1, -1), slice(None))), ("0, 1, 2, 0", (slice(0, -2), slice(1, None)))],
)
def test_conv_transpose2d(padding: str, cut: tuple[slice, slice]) -> None:
    """Every element of the image adds its weights to the result: four paddings are top, left, bottom, right."""
    weights = RNG.standard_normal((4, 3, 3, 2)).astype(np.float32)  # in, out of one of two groups
    full = np.zeros((2, 11, 5, 6), np.float32)
    for row, column, channel in itertools.product(range(5), range(4), range(4)):
        group = channel // 2
        added = np.einsum("b,ohw->bhwo", IMAGE[:, row, column, channel], weights[channel])
        full[:, 2 * row : 2 * row + 3, column : column + 2, 3 * group : 3 * group + 3] += added
    expected = full[:, cut[0], cut[1]]
    attributes = (
        f"{SHAPE}, stride = array<i32: 2, 1>, padding = array<i32: {padding}>, dilation = array<i32: 1, 1>, "
        f"output_padding = array<i32: 0, 0>, groups = 2 : i32, {CONFIG}"
    )
    height, width = expected.shape[1:3]
    types = f"(tensor<1x1x40x4xf32>, tensor<4x3x3x2xf32>, !ttnn.device) -> tensor<1x1x{2 * height * width}x6xf32>"
    found = emulated("conv_transpose2d", attributes, types, FLAT, jnp.asarray(weights), None)
    np.testing.assert_allclose(found, expected.reshape(1, 1, -1, 6), atol=1e-5)


def pool(name: str, settings: str, places: int, results: str = "tensor<1x1x{}x4xf32>") -> object:
    """What a pool of 2x2 makes of the image."""
    attributes = (
        "batch_size = 2 : si32, input_height = 5 : si32, input_width = 4 : si32, channels = 4 : si32, "
        f"kernel_size = array<i32: 2, 2>, dilation = array<i32: 1, 1>, {settings}"
    )
    return emulated(name, attributes, f"(tensor<1x1x40x4xf32>) -> {results.format(places, places)}", FLAT)


def test_pools_take_their_padding_as_top_left_bottom_right() -> None:
    settings = "stride = array<i32: 2, 2>, padding = array<i32: 0, 1, 1, 1>, ceil_mode = false"
    padded = np.pad(IMAGE, ((0, 0), (0, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    expected = windows(padded, (2, 2), (2, 2), (1, 1)).max((3, 4)).reshape(1, 1, -1, 4)
    np.testing.assert_array_equal(pool("max_pool2d", settings, 18), expected)


def test_a_pool_says_where_the_largest_element_is() -> None:
    settings = "stride = array<i32: 2, 2>, padding = array<i32: 0, 0>, ceil_mode = false"
    both = "(tensor<1x1x{}x4xf32>, tensor<1x1x{}x4xui16>)"
    largest, where = pool("max_pool2d_with_indices", settings, 8, both)
    flat = IMAGE.reshape(2, 20, 4)
    np.testing.assert_array_equal(
        np.take_along_axis(flat, np.asarray(where).reshape(2, 4, 4), 1).reshape(1, 1, 8, 4), largest
    )
    np.testing.assert_array_equal(largest, pool("max_pool2d", settings, 8))


def test_the_first_of_equal_elements_is_the_largest() -> None:
    attributes = (
        "batch_size = 1 : si32, input_height = 2 : si32, input_width = 2 : si32, channels = 1 : si32, kernel_size = "
        "array<i32: 2, 2>, dilation = array<i32: 1, 1>, stride = array<i32: 2, 2>, padding = array<i32: 0, 0>, "
        "ceil_mode = false"
    )
    types = "(tensor<1x1x4x1xf32>) -> (tensor<1x1x1x1xf32>, tensor<1x1x1x1xui16>)"
    x = jnp.asarray([0.0, 3.0, 3.0, 1.0]).reshape(1, 1, 4, 1)
    assert int(emulated("max_pool2d_with_indices", attributes, types, x)[1].item()) == 1


@pytest.mark.parametrize(
    ("settings", "padding", "corner"),
    [
        ("ceil_mode = false, count_include_pad = true", "1, 1", 4),
        ("ceil_mode = false, count_include_pad = false", "1, 1", 1),
        ("ceil_mode = false, divisor_override = 1 : i32", "1, 1", 1),
        ("ceil_mode = true, count_include_pad = true", "0, 0", 4),
    ],
)
def test_what_a_mean_counts(settings: str, padding: str, corner: int) -> None:
    """The first place of the result: with padding its window holds one element of the image."""
    places = 18 if padding == "1, 1" else 12
    found = np.asarray(
        pool("avg_pool2d", f"{settings}, stride = array<i32: 2, 2>, padding = array<i32: {padding}>", places)
    ).reshape(2, 3, -1, 4)
    total = IMAGE[:, 0, 0] if padding == "1, 1" else IMAGE[:, :2, :2].sum((1, 2))
    np.testing.assert_allclose(found[:, 0, 0], total / corner, rtol=1e-5)
    if "ceil_mode = true" in settings:  # the last window holds one row of the image
        np.testing.assert_allclose(found[:, 2, 0], IMAGE[:, 4, :2].mean(1), rtol=1e-5)


def test_the_mean_over_the_whole_image() -> None:
    found = emulated("global_avg_pool2d", "", "(tensor<2x5x4x4xf32>) -> tensor<2x1x1x4xf32>", jnp.asarray(IMAGE))
    np.testing.assert_allclose(found, IMAGE.mean((1, 2), keepdims=True), rtol=1e-5, atol=1e-6)
