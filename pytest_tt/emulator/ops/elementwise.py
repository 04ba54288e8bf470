"""Arithmetic of each element: functions of one tensor, and of two with broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from pytest_tt.emulator.attributes import Opaque
from pytest_tt.emulator.elements import element_of
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tt.emulator.step import Step

FUSED = "activations input_tensor_a_activations input_tensor_b_activations"
"""Attributes of ops of two tensors: functions of what comes in and of what goes out."""

# By the name of the op, which is that of the numerics too.
_UNARY = (
    "abs", "acos", "asin", "asinh", "atan", "cbrt", "ceil", "cos", "erf", "erfc", "exp", "expm1", "floor", "log",
    "log1p", "neg", "reciprocal", "relu", "relu6", "round", "rsqrt", "sigmoid", "sign", "silu", "sin", "sqrt",
    "tan", "tanh",
)  # fmt: skip
# Of floating values too, but no op of their own in the calibration: exact, then rounded to what is stored.
_PLAIN: dict[str, Callable[[jax.Array], jax.Array]] = {
    "hardsigmoid": lambda x: jnp.clip(x + 3, 0, 6) / 6,
    "log10": jnp.log10,
    "mish": lambda x: x * jnp.tanh(jax.nn.softplus(x)),
    "eqz": lambda x: (x == 0).astype(jnp.float32),
    "nez": lambda x: (x != 0).astype(jnp.float32),
}
_INTEGER: dict[str, Callable[[jax.Array], jax.Array]] = {
    "abs": jnp.abs,
    "neg": jnp.negative,
    "relu": lambda x: jnp.maximum(x, 0),
    "sign": jnp.sign,
    "square": lambda x: x * x,
    "eqz": lambda x: (x == 0).astype(x.dtype),
    "nez": lambda x: (x != 0).astype(x.dtype),
}
# What `UnaryOpType` and the text of a product's activation call differently than the op.
_OTHER_NAMES = {"recip": "reciprocal", "soft_plus": "softplus", "abs_int32": "abs", "identity_uint32": "identity"}
_FUSED = frozenset(
    [*_UNARY, *_PLAIN, "exp2", "gelu", "gelu_tanh", "identity", "log2", "softplus", "square"]
)  # fmt: skip

# Of integers: as wide as the tensor holds them, what is over is cut off.
_INTEGER_BINARY: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "add": jnp.add,
    "subtract": jnp.subtract,
    "multiply": jnp.multiply,
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
}
_BITS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "bitwise_and": jax.lax.bitwise_and,
    "bitwise_or": jax.lax.bitwise_or,
    "bitwise_xor": jax.lax.bitwise_xor,
    "logical_left_shift": jax.lax.shift_left,
    "logical_right_shift": jax.lax.shift_right_logical,
    "bitwise_right_shift": jax.lax.shift_right_arithmetic,
}


def integral(x: jax.Array) -> bool:
    """Whether `x` holds integers."""
    return bool(jnp.issubdtype(x.dtype, jnp.integer))


def unary(step: Step, name: str, x: jax.Array, element_in: str, element_out: str) -> jax.Array:
    """The function called `name` of each element. Raises EmulationError if it is not known for what `x` holds."""
    if name == "identity":
        return x
    if integral(x):
        if name not in _INTEGER:
            raise step.error(f"{name} of integers ({element_in}) is not known")
        return _INTEGER[name](x)
    if name in _PLAIN:
        return _PLAIN[name](x)
    result: jax.Array = step.numerics.unary(name, x, element_in, element_out)
    return result


def activated(step: Step, name: str, x: jax.Array, element_in: str, element_out: str) -> jax.Array:
    """`x` after the activation that another op is fused with, by the name that the compiler gives it.

    Raises EmulationError if it is not known.
    """
    name = _OTHER_NAMES.get(name, name)
    if name not in _FUSED:
        raise step.error(f"activation {name} is not known")
    if name == "gelu" and step.build.fused_gelu == "tanh":
        name = "gelu_tanh"
    return unary(step, name, x, element_in, element_out)


def activation_name(step: Step, value: object) -> str:
    """The name in ``#ttnn.unary_with_param<op_type = relu>``. Raises EmulationError if it has parameters."""
    if not isinstance(value, Opaque) or value.name != "ttnn.unary_with_param":
        raise step.error(f"activation {value!r}: expected #ttnn.unary_with_param<op_type = NAME>")
    fields = value.fields
    if fields.keys() != {"op_type"}:
        raise step.error(f"activation <{value.text}>: only those without parameters are known")
    return fields["op_type"]


def _all_activated(step: Step, attribute: str, x: jax.Array, element_in: str, element_out: str) -> jax.Array:
    values = step.attributes.get(attribute, ())
    if not isinstance(values, tuple):
        raise step.error(f"attribute {attribute} is {values!r}: expected a list of activations")
    for value in values:
        x = activated(step, activation_name(step, value), x, element_in, element_out)
    return x


def fused(step: Step, a: jax.Array, b: jax.Array, function: Callable[[jax.Array, jax.Array], jax.Array]) -> jax.Array:
    """`function` of `a` and `b` with the activations of the attributes FUSED."""
    first, second = step.elements[:2]
    a = _all_activated(step, "input_tensor_a_activations", a, first, first)
    b = _all_activated(step, "input_tensor_b_activations", b, second, second)
    out = element_of(step.result)
    return _all_activated(step, "activations", function(a, b), out, out)


def _one(name: str) -> None:
    def compute(step: Step, x: jax.Array) -> jax.Array:
        return unary(step, name, x, step.elements[0], element_of(step.result))

    meaning(name)(compute)


def _two(name: str) -> None:
    def compute(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
        return fused(step, a, b, lambda x, y: binary(step, name, x, y))

    meaning(name, attributes=FUSED)(compute)


def _bitwise(name: str) -> None:
    def compute(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
        def bits(x: jax.Array, y: jax.Array) -> jax.Array:
            _same(step, name, x, y)
            if not integral(x):
                raise step.error(f"{name} of floating values")
            return _BITS[name](*jnp.broadcast_arrays(x, y))

        return fused(step, a, b, bits)

    meaning(name, attributes=FUSED)(compute)


for _name in (*_UNARY, "hardsigmoid", "mish"):
    _one(_name)
for _name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "atan2"):
    _two(_name)
for _name in _BITS:
    _bitwise(_name)


def binary(step: Step, name: str, a: jax.Array, b: jax.Array) -> jax.Array:
    """The function of two tensors that the compiler calls `name`, without activations.

    Raises EmulationError for operands of two kinds, and for a function of integers that is not known.
    """
    _same(step, name, a, b)
    if integral(a):
        if name not in _INTEGER_BINARY:
            raise step.error(f"{name} of integers ({step.elements[0]}) is not known")
        return _INTEGER_BINARY[name](a, b)
    result: jax.Array = step.numerics.binary(name, a, b, (*step.elements[:2], element_of(step.result)))
    return result


def _same(step: Step, name: str, a: jax.Array, b: jax.Array) -> None:
    if a.dtype != b.dtype:
        raise step.error(f"{name} of {step.elements[0]} and {step.elements[1]}: expected one type")


@meaning("gelu")
def gelu(step: Step, x: jax.Array) -> jax.Array:
    """By tanh or by erf: the text does not say which."""
    name = "gelu_tanh" if step.build.gelu == "tanh" else "gelu"
    return unary(step, name, x, step.elements[0], element_of(step.result))


@meaning("leaky_relu", attributes="parameter")
def leaky_relu(step: Step, x: jax.Array) -> jax.Array:
    """`parameter` is the slope below 0."""
    return jnp.where(x > 0, x, x * jnp.float32(number(step, "parameter")))


@meaning("bitwise_not")
def bitwise_not(step: Step, x: jax.Array) -> jax.Array:
    """Of each bit."""
    if not integral(x):
        raise step.error("bitwise_not of floating values")
    return ~x


@meaning("pow_tensor", attributes=FUSED)
def pow_tensor(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
    """`a` to the power of `b`."""
    return fused(step, a, b, lambda x, y: binary(step, "pow", x, y))


@meaning("pow_scalar", attributes="rhs")
def pow_scalar(step: Step, x: jax.Array) -> jax.Array:
    """`x` to the power of the attribute `rhs`."""
    if integral(x):
        raise step.error("a power of integers is not known")
    exponent = jnp.full_like(x, number(step, "rhs"))
    result: jax.Array = step.numerics.binary("pow", x, exponent, (step.elements[0], "f32", element_of(step.result)))
    return result


@meaning("remainder", attributes=FUSED)
def remainder(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
    """With the sign of the dividend or of the divisor, as the build has it."""
    function = jax.lax.rem if step.build.remainder == "truncated" else jnp.remainder

    def remainders(x: jax.Array, y: jax.Array) -> jax.Array:
        _same(step, "remainder", x, y)
        return function(*jnp.broadcast_arrays(x, y))

    return fused(step, a, b, remainders)


@meaning("mulhi", attributes=FUSED)
def mulhi(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
    """The upper 32 bits of the product of two uint32."""

    def upper(x: jax.Array, y: jax.Array) -> jax.Array:
        if x.dtype != jnp.uint32 or y.dtype != jnp.uint32:
            raise step.error(f"mulhi of {step.elements[0]} and {step.elements[1]}: expected u32")
        low = jnp.uint32(0xFFFF)
        x_high, x_low, y_high, y_low = x >> 16, x & low, y >> 16, y & low
        middle = x_high * y_low + ((x_low * y_low) >> 16)
        other = x_low * y_high + (middle & low)
        result: jax.Array = x_high * y_high + (middle >> 16) + (other >> 16)
        return result

    return fused(step, a, b, upper)
