"""What arithmetic ops compute, against NumPy; each attribute that changes the meaning."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated

from pytest_tt.emulator.builds import BuildMeaning
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.numerics import CHIP, EXACT

X = np.array([[-2.5, -1.0, -0.0], [0.25, 1.5, 7.0]], np.float32)
NONE = "activations = [], input_tensor_a_activations = [], input_tensor_b_activations = []"
ONE = "(tensor<2x3x{0}>) -> tensor<2x3x{1}>"
TWO = "(tensor<2x3x{0}>, tensor<2x3x{0}>) -> tensor<2x3x{1}>"
LARGEST = np.iinfo(np.int32).max


def one(name: str, x: Any, attributes: str = "", kind: str = "f32", out: str = "", **settings: Any) -> np.ndarray:
    return np.asarray(emulated(name, attributes, ONE.format(kind, out or kind), jnp.asarray(x), **settings))


def two(name: str, a: Any, b: Any, attributes: str = NONE, kind: str = "f32", out: str = "", **more: Any) -> np.ndarray:
    operands = (jnp.asarray(a), jnp.asarray(b))
    return np.asarray(emulated(name, attributes, TWO.format(kind, out or kind), *operands, **more))


def activation(name: str) -> str:
    return f"#ttnn.unary_with_param<op_type = {name}>"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("abs", np.abs), ("ceil", np.ceil), ("cos", np.cos), ("exp", np.exp), ("expm1", np.expm1), ("neg", np.negative),
        ("floor", np.floor), ("sign", np.sign), ("sin", np.sin), ("tan", np.tan), ("atan", np.arctan),
        ("asinh", np.arcsinh), ("cbrt", np.cbrt), ("tanh", np.tanh), ("round", np.rint),
        ("relu", lambda x: np.maximum(x, 0)), ("relu6", lambda x: np.clip(x, 0, 6)),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("silu", lambda x: x / (1 + np.exp(-x))),
        ("hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1)),
        ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    ],
)  # fmt: skip
def test_functions_of_one_tensor(name: str, expected: Any) -> None:
    np.testing.assert_allclose(one(name, X), expected(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "log", "log1p", "reciprocal"])
def test_functions_of_positive_values(name: str) -> None:
    x = np.abs(X) + 0.5
    expected = {"rsqrt": 1 / np.sqrt(x), "reciprocal": 1 / x}.get(name)
    np.testing.assert_allclose(one(name, x), getattr(np, name)(x) if expected is None else expected, rtol=1e-6)


def test_a_chip_has_no_subnormal_numbers() -> None:
    """XLA's code for CPUs has none either, which the chip's numerics rely on; what takes bits alone does it itself."""
    small = np.float32([1e-39, -1e-39, 2.0**-126, -(2.0**-126)])
    expected = np.float32([0.0, -0.0, *small[2:]])
    products = jax.jit(lambda x: x @ jnp.diag(jnp.full(4, 2.0**120)))(small[None])[0]
    np.testing.assert_array_equal(products, expected * np.float32(2.0**120))
    for values in (CHIP.store(jnp.asarray(small), "f32"), jax.jit(jnp.multiply)(small, np.ones(4, np.float32))):
        np.testing.assert_array_equal(np.asarray(values).view(np.uint32), expected.view(np.uint32))
    kept = np.float32([np.inf, -np.inf, np.nan, 1.0])
    np.testing.assert_array_equal(CHIP.store(jnp.asarray(kept), "f32"), kept)


def test_leaky_relu_has_its_slope() -> None:
    np.testing.assert_allclose(one("leaky_relu", X, "parameter = 0.5 : f32"), np.where(X > 0, X, X / 2))


@pytest.mark.parametrize("tanh", [True, False])
def test_which_gelu_the_build_says(tanh: bool) -> None:
    build = BuildMeaning(known=True, gelu="tanh" if tanh else "erf", fused_gelu="erf" if tanh else "tanh")
    np.testing.assert_array_equal(one("gelu", X, build=build), jax.nn.gelu(X, approximate=tanh))
    fused = NONE.replace("activations = []", f"activations = [{activation('gelu')}]", 1)
    found = two("add", X, np.zeros_like(X), fused, build=build)
    np.testing.assert_array_equal(found, jax.nn.gelu(X, approximate=not tanh))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply), ("divide", np.divide),
        ("maximum", np.maximum), ("minimum", np.minimum), ("atan2", np.arctan2), ("pow_tensor", np.power),
    ],
)  # fmt: skip
def test_functions_of_two_tensors(name: str, expected: Any) -> None:
    a, b = np.abs(X) + 1, np.full_like(X, 1.5)
    np.testing.assert_allclose(two(name, a, b), expected(a, b), rtol=1e-6)


def test_operands_are_broadcast() -> None:
    found = emulated("add", NONE, "(tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<2x3xf32>", X, X[1:])
    np.testing.assert_array_equal(found, X + X[1:])


def test_fused_activations_are_taken_in_their_order() -> None:
    attributes = (
        f"activations = [{activation('exp')}, {activation('recip')}], "
        f"input_tensor_a_activations = [{activation('abs')}], input_tensor_b_activations = [{activation('neg')}]"
    )
    np.testing.assert_allclose(two("add", X, X, attributes), 1 / np.exp(np.abs(X) - X), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#ttnn.unary_with_param<op_type = heaviside>", "activation heaviside is not known"),
        ("#ttnn.unary_with_param<op_type = power, params = [2.0 : f32]>", "only those without parameters are known"),
    ],
)
def test_an_activation_that_is_not_known_is_an_error(text: str, said: str) -> None:
    with pytest.raises(EmulationError, match=f"ttnn.add at .*{said}"):
        two("add", X, X, f"activations = [{text}]")


def test_integers_wrap_around() -> None:
    a, b = np.full((2, 3), LARGEST, np.int32), np.full((2, 3), 2, np.int32)
    np.testing.assert_array_equal(two("add", a, b, kind="si32"), a + b)
    np.testing.assert_array_equal(two("multiply", a, b, kind="si32"), a * b)
    least = np.zeros((2, 3), np.uint32)
    np.testing.assert_array_equal(two("subtract", least, least + 1, kind="ui32"), least - 1)


def test_remainder_has_the_sign_that_the_build_says() -> None:
    a, b = np.array([[17, -17, 17]] * 2, np.int32), np.array([[3, 3, -3]] * 2, np.int32)
    np.testing.assert_array_equal(two("remainder", a, b, kind="si32"), np.fmod(a, b))
    floored = BuildMeaning(known=True, remainder="floored")
    np.testing.assert_array_equal(two("remainder", a, b, kind="si32", build=floored), np.mod(a, b))
    np.testing.assert_array_equal(two("remainder", a / 2, b / 2), np.fmod(a / 2, b / 2).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bitwise_and", np.bitwise_and), ("bitwise_or", np.bitwise_or), ("bitwise_xor", np.bitwise_xor),
        ("logical_left_shift", lambda a, b: (a.view(np.uint32) << b.view(np.uint32)).view(np.int32)),
        ("logical_right_shift", lambda a, b: (a.view(np.uint32) >> b.view(np.uint32)).view(np.int32)),
        ("bitwise_right_shift", np.right_shift),
    ],
)  # fmt: skip
def test_bits(name: str, expected: Any) -> None:
    a, b = np.array([[-5, 6, LARGEST]] * 2, np.int32), np.array([[3, 1, 2]] * 2, np.int32)
    np.testing.assert_array_equal(two(name, a, b, kind="si32"), expected(a, b))


def test_the_upper_half_of_a_product() -> None:
    a = np.array([[1 << 31, (1 << 32) - 1, 70000]] * 2, np.uint32)
    b = np.array([[6, (1 << 32) - 1, 70000]] * 2, np.uint32)
    expected = (a.astype(np.uint64) * b.astype(np.uint64)) >> np.uint64(32)
    np.testing.assert_array_equal(two("mulhi", a, b, kind="ui32"), expected.astype(np.uint32))


@pytest.mark.parametrize("name", ["divide", "atan2", "pow_tensor"])
def test_functions_of_integers_that_are_not_known(name: str) -> None:
    a = np.ones((2, 3), np.int32)
    with pytest.raises(EmulationError, match=f"ttnn.{name} at .*of integers .si32. is not known"):
        two(name, a, a, kind="si32")


def test_two_kinds_of_operands_are_an_error() -> None:
    types = "(tensor<2x3xf32>, tensor<2x3xsi32>) -> tensor<2x3xf32>"
    with pytest.raises(EmulationError, match="add of f32 and si32: expected one type"):
        emulated("add", NONE, types, jnp.asarray(X), jnp.ones((2, 3), jnp.int32))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("eq", np.equal), ("ne", np.not_equal), ("ge", np.greater_equal), ("gt", np.greater), ("le", np.less_equal),
     ("lt", np.less)],
)  # fmt: skip
def test_comparisons_give_zeros_and_ones(name: str, expected: Any) -> None:
    a, b = np.array([[1, 2, np.nan]] * 2, np.float32), np.array([[2, 2, np.nan]] * 2, np.float32)
    found = two(name, a, b, out="bf16")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected(a, b).astype(np.float32))


def test_logic_of_masks() -> None:
    a, b = np.array([[0, 0, 2]] * 2, np.float32), np.array([[0, 1, 3]] * 2, np.float32)
    assert two("logical_and", a, b, kind="bf16")[0].tolist() == [0, 0, 1]
    assert two("logical_or", a, b, kind="bf16")[0].tolist() == [0, 1, 1]
    assert two("logical_xor", a, b, kind="bf16")[0].tolist() == [0, 1, 0]
    assert one("logical_not", a, kind="bf16")[0].tolist() == [1, 1, 0]


def test_isfinite() -> None:
    assert one("isfinite", np.array([[np.nan, -np.inf, 3]] * 2, np.float32), out="bf16")[0].tolist() == [0, 0, 1]


def test_where_takes_what_is_not_zero_as_true() -> None:
    types = "(tensor<3xbf16>, tensor<3xf32>, tensor<1xf32>) -> tensor<3xf32>"
    mask, other = jnp.array([0.0, 1.0, -2.0]), jnp.array([jnp.nan])
    np.testing.assert_array_equal(emulated("where", "", types, mask, jnp.arange(3.0), other), [np.nan, 1, 2])


def test_clamp() -> None:
    np.testing.assert_array_equal(one("clamp_scalar", X, "min = -1.0 : f32, max = 2.0 : f32"), np.clip(X, -1, 2))
    whole = np.array([[-9, 4, 40]] * 2, np.int32)
    found = one("clamp_scalar", whole, "min = 0 : i32, max = 28 : i32", "si32")
    np.testing.assert_array_equal(found, np.clip(whole, 0, 28))
    types = "(tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>"
    found = emulated("clamp_tensor", "", types, jnp.asarray(X), jnp.asarray(-X), jnp.full((2, 3), 2.0))
    np.testing.assert_array_equal(found, np.minimum(np.maximum(X, -X), 2))


def test_tensors_that_are_made() -> None:
    shape, device = "shape = #ttnn.shape<2x3>", "(!ttnn.device) -> tensor<2x3x{}>"
    infinite = emulated("full", f"fill_value = 0x7F800000 : f32, {shape}", device.format("f32"), None)
    np.testing.assert_array_equal(infinite, np.full((2, 3), np.inf))
    bits = np.asarray(emulated("full", f"fill_value = -1 : i32, {shape}", device.format("ui32"), None))
    assert bits.dtype == np.uint32
    assert (bits == 0xFFFFFFFF).all()
    assert np.asarray(emulated("zeros", shape, device.format("si32"), None)).tolist() == [[0] * 3] * 2
    assert np.asarray(emulated("ones", shape, device.format("bf16"), None)).dtype == np.float32
    assert np.isnan(emulated("empty", shape, device.format("f32"), None)).all()
    counted = emulated("arange", "start = 5 : i64, end = -1 : i64, step = -2 : i64", "() -> tensor<1x1x1x3xf32>")
    np.testing.assert_array_equal(counted, [[[[5, 3, 1]]]])
    value = emulated("constant", "value = dense<[[1.5, -2.0, 0.0]]> : tensor<1x3xbf16>", "() -> tensor<1x3xbf16>")
    np.testing.assert_array_equal(value, np.array([[1.5, -2, 0]], np.float32))


def test_arange_of_another_size_is_an_error() -> None:
    with pytest.raises(EmulationError, match=r"arange\(0, 4, 1\) has 4 elements, the result 5"):
        emulated("arange", "start = 0 : i64, end = 4 : i64, step = 1 : i64", "() -> tensor<5xsi32>")


@pytest.mark.parametrize("numerics", [EXACT, CHIP])
def test_floats_become_integers_towards_zero(numerics: Any) -> None:
    x = np.array([[-2.7, 2.7, 1e6], [-0.5, 0.0, 2147483520.0]], np.float32)
    np.testing.assert_array_equal(one("typecast", x, out="si32", numerics=numerics), np.trunc(x).astype(np.int32))


def test_what_does_not_fit_into_an_integer() -> None:
    """XLA takes the nearest that fits; the kernels' words are other ones."""
    x = np.array([[np.nan, 3e9, -3e9], [-1.0, np.inf, 5e9]], np.float32)
    least = -LARGEST - 1
    assert one("typecast", x, out="si32").tolist() == [[0, LARGEST, least], [-1, LARGEST, LARGEST]]
    assert one("typecast", x, out="si32", numerics=CHIP).tolist() == [[least, least, least], [-1, least, least]]
    most = (1 << 32) - 1
    assert one("typecast", x, out="ui32").tolist() == [[0, 3000000000, 0], [0, most, most]]
    assert one("typecast", x, out="ui32", numerics=CHIP).tolist() == [[most, 3000000000, 0], [0, most, most]]


def test_integers_keep_their_lowest_bits() -> None:
    x = np.array([[-1, 256, 70000]] * 2, np.int32)
    np.testing.assert_array_equal(one("typecast", x, kind="si32", out="ui16"), x.astype(np.uint16))
    np.testing.assert_array_equal(one("typecast", x, kind="si32", out="ui32"), x.astype(np.uint32))
    np.testing.assert_array_equal(one("typecast", x, kind="si32", out="f32"), x.astype(np.float32))


def test_bits_as_another_type() -> None:
    np.testing.assert_array_equal(one("bitcast_convert", X, out="ui32"), X.view(np.uint32))
    np.testing.assert_array_equal(one("bitcast_convert", X, kind="bf16", out="ui16"), (X.view(np.uint32) >> 16))
    with pytest.raises(EmulationError, match="the bits of f32 as u16: expected a type of the same width"):
        one("bitcast_convert", X, out="ui16")


def test_reduced_precision_is_part_of_the_program() -> None:
    found = one("reduce_precision", np.full((2, 3), 1 + 2**-9, np.float32), "exponent_bits = 8, mantissa_bits = 7")
    assert (found == 1).all()


def test_moves_keep_values() -> None:
    for name in ("to_layout", "to_memory_config", "from_device", "assign"):
        np.testing.assert_array_equal(one(name, X), X)
    types = "(tensor<2x3xf32>, !ttnn.device) -> tensor<2x3xf32>"
    np.testing.assert_array_equal(emulated("to_device", "", types, jnp.asarray(X), None), X)
