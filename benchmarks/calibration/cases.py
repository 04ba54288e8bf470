"""The recorded ops: what each ran, how the emulator computes it, and what it should give in float64."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from pytest_tt.emulator import formats
from pytest_tt.emulator.compute_config import ComputeConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tt.emulator.numerics import Numerics

ELEMENTWISE, PRODUCT, REDUCTION, COMPOUND, MOVEMENT = "elementwise", "product", "reduction", "compound", "movement"
_ELEMENT = {"bf16": "bf16", "f32": "f32", "bfp8": "bfp_bf8", "bfp4": "bfp_bf4"}
_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class Case:
    """One recorded op. `emulate` gets numerics, operands and the elements of operands and result."""

    kind: str
    op: str
    emulate: Callable[[Numerics, list[Any], tuple[str, ...]], Any]
    reference: Callable[..., Any]
    elements: tuple[str, ...]
    """Of the operands."""


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + _erf(x / np.sqrt(2)))


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def _rms_norm(x: Any, weight: Any) -> Any:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight


_UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "exp_fast": np.exp, "gelu": _gelu, "gelu_fast": _gelu, "gelu_tanh": _gelu_tanh, "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "silu": lambda x: x / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0), "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "log": np.log,
    "reciprocal": lambda x: 1 / x, "sin": np.sin, "cos": np.cos, "erf": _erf, "log1p": np.log1p, "expm1": np.expm1,
    "softplus": lambda x: np.log1p(np.exp(x)), "square": np.square, "abs": np.abs, "neg": np.negative,
    "floor": np.floor,
}  # fmt: skip
_NAMES = {"exp_fast": "exp_approximate", "gelu_fast": "gelu_approximate"}
_BINARY: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "add": ("add", np.add), "sub": ("subtract", np.subtract), "mul": ("multiply", np.multiply),
    "div": ("divide", np.divide), "pow": ("pow", np.power), "maximum": ("maximum", np.maximum),
}  # fmt: skip


def _unary(name: str) -> Callable[[Numerics, list[Any], tuple[str, ...]], Any]:
    return lambda numerics, x, elements: numerics.unary(_NAMES.get(name, name), x[0], elements[0], elements[-1])


def _binary(name: str, scalar: float | None = None) -> Callable[[Numerics, list[Any], tuple[str, ...]], Any]:
    def emulate(numerics: Numerics, x: list[Any], elements: tuple[str, ...]) -> Any:
        if scalar is None:
            return numerics.binary(name, x[0], x[1], elements)
        return numerics.binary(
            name, x[0], formats.stored(jnp.float32(scalar), elements[0]), (*elements[:1] * 2, elements[-1])
        )

    return emulate


def default_config(arch: str | None, element: str) -> ComputeConfig:
    """What ttnn.matmul takes where a call says nothing; the compiler's programs always say it."""
    if element == "f32":
        return ComputeConfig("hifi3" if arch == "wormhole" else "hifi4", True)
    return ComputeConfig("lofi" if element.startswith("bfp") else "hifi2", False)


def _product(config: ComputeConfig | None, after: str = "") -> Callable[[Numerics, list[Any], tuple[str, ...]], Any]:
    def emulate(numerics: Numerics, x: list[Any], elements: tuple[str, ...]) -> Any:
        used = config or default_config(numerics.arch, elements[0])
        return numerics.matmul(x[0], x[1], elements, used)

    def linear(numerics: Numerics, x: list[Any], elements: tuple[str, ...]) -> Any:
        used = config or default_config(numerics.arch, elements[0])
        bias = x[2]
        out = numerics.linear(x[0], x[1], bias, elements, used)
        return out if after == "linear" else numerics.unary(after, out, elements[0], elements[-1])

    return linear if after else emulate


def _reduce(
    name: str, axes: tuple[int, ...], config: ComputeConfig | None
) -> Callable[[Numerics, list[Any], tuple[str, ...]], Any]:
    def emulate(numerics: Numerics, x: list[Any], elements: tuple[str, ...]) -> Any:
        used = config or ComputeConfig("hifi4", True)
        return numerics.reduce(name, x[0], axes, elements[0], used)

    return emulate


def _softmax_of(config: ComputeConfig | None, stable: bool) -> Callable[[Numerics, list[Any], tuple[str, ...]], Any]:
    def emulate(numerics: Numerics, x: list[Any], elements: tuple[str, ...]) -> Any:
        used = config or ComputeConfig("hifi4", True, elements[0] != "f32")
        return numerics.softmax(x[0], -1, elements[0], used, stable)

    return emulate


def _norm(name: str, config: ComputeConfig | None) -> Callable[[Numerics, list[Any], tuple[str, ...]], Any]:
    def emulate(numerics: Numerics, x: list[Any], elements: tuple[str, ...]) -> Any:
        used = config or ComputeConfig("hifi4", name == "layer_norm")
        weight, bias = x[1], x[2] if len(x) > 2 else None
        return getattr(numerics, name)(x[0], weight, bias, 1e-5, elements[0], used)

    return emulate


def _same(numerics: Numerics, x: list[Any], elements: tuple[str, ...]) -> Any:
    return x[0]


def case(name: str) -> Case:
    """What the recorded case `name` ran. Raises KeyError for a name that this module does not know."""
    base, _, last = name.rpartition("_")
    element = _ELEMENT.get(last, "bf16")
    if found := re.fullmatch(r"matmul(?:k\d+)?_(\w+?)_(?:(\w+Fi\d?)_(acc\d+)(?:_l1)?|default)", name):
        given, fidelity, acc = found[1], found[2], found[3]
        left, _, right = given.partition("x")
        config = None if fidelity is None else ComputeConfig(fidelity.lower(), acc == "acc32")
        return Case(PRODUCT, "matmul", _product(config), np.matmul, (_ELEMENT[left], _ELEMENT[right or left]))
    if base == "dot3":
        return Case(PRODUCT, "matmul", _product(None), np.matmul, (element, element))
    if base in ("linear_bias", "linear_bias_gelu"):
        gelu = base.endswith("gelu")
        return Case(
            PRODUCT, "linear", _product(None, "gelu" if gelu else "linear"),
            lambda a, b, c: _gelu(a @ b + c) if gelu else a @ b + c, (element,) * 3,
        )  # fmt: skip
    base = base.removesuffix("_edge")
    if base in _UNARY:
        return Case(ELEMENTWISE, base, _unary(base), _UNARY[base], (element,))
    if base in _BINARY:
        op, reference = _BINARY[base]
        return Case(ELEMENTWISE, op, _binary(op), reference, (element, element))
    if base == "add_bcast":
        return Case(ELEMENTWISE, "add", _binary("add"), np.add, (element, element))
    if base == "add_scalar":
        return Case(ELEMENTWISE, "add", _binary("add", 0.1), lambda a: a + 0.1, (element,))
    if base == "mul_scalar":
        return Case(ELEMENTWISE, "multiply", _binary("multiply", 0.1), lambda a: a * 0.1, (element,))
    if base.startswith("softmax"):
        config = ComputeConfig("hifi4", True) if "hifi4acc32" in base else None
        return Case(COMPOUND, "softmax", _softmax_of(config, "unstable" not in base), _softmax, (element,))
    if base.startswith(("layer_norm", "rms_norm")):
        op = "layer_norm" if base.startswith("layer_norm") else "rms_norm"
        reference = _layer_norm if op == "layer_norm" else _rms_norm
        operands = (element,) * (3 if op == "layer_norm" else 2)
        return Case(COMPOUND, op, _norm(op, None), reference, operands)
    if found := re.fullmatch(r"(sum|mean|max)_(all|dim-[12])(_acc32)?_(bf16|f32|bfp8)(_fast)?", name):
        axes = (0, 1) if found[2] == "all" else (int(found[2][3:]),)
        config = ComputeConfig("hifi4", True) if found[3] else None
        op = found[1]
        if found[5]:
            op = "sum_approximate"
        reference = functools.partial(getattr(np, found[1]), axis=axes, keepdims=found[2] != "all")
        return Case(REDUCTION, op, _reduce(op, axes, config), reference, (_ELEMENT[found[4]],))
    moved: dict[str, Callable[..., Any]] = {
        "typecast_f32": lambda a: a, "typecast_bf16": lambda a: a, "transpose": np.transpose,
    }  # fmt: skip
    if name == "typecast_f32_i32":
        return Case(MOVEMENT, "typecast", lambda n, x, e: jnp.trunc(x[0]), np.trunc, ("f32",))
    if base.startswith("typecast"):
        return Case(MOVEMENT, "typecast", _same, moved[base], (_ELEMENT[base.rpartition("_")[2]],))
    if base == "transpose":
        return Case(MOVEMENT, "transpose", lambda n, x, e: x[0].T, np.transpose, (element,))
    if base == "gt":
        return Case(ELEMENTWISE, "gt", lambda n, x, e: (x[0] > x[1]).astype(jnp.float32), np.greater, (element,) * 2)
    if base == "where":
        return Case(
            ELEMENTWISE, "where", lambda n, x, e: jnp.where(x[0] > 0, x[0], x[1]),
            lambda a, b: np.where(a > 0, a, b), (element,) * 2,
        )  # fmt: skip
    if base == "argmax":
        return Case(MOVEMENT, "argmax", lambda n, x, e: jnp.argmax(x[0], -1), lambda a: a.argmax(-1), (element,))
    raise KeyError(name)
