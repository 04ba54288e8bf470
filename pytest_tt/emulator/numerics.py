"""How true to the chip an emulated program computes: exactly, rounded to what is stored, or with the units' numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pytest_tt.emulator import activations, chip_norms, chip_sums, formats, matrix_unit, vector_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tt.emulator.compute_config import ComputeConfig

_HIGHEST = jax.lax.Precision.HIGHEST
_KERNELS = vector_unit.FUNCTIONS | activations.FUNCTIONS

_UNARY: dict[str, Callable[[Any], Any]] = {
    "abs": jnp.abs, "acos": jnp.arccos, "acosh": jnp.arccosh, "asin": jnp.arcsin, "asinh": jnp.arcsinh,
    "atan": jnp.arctan, "atanh": jnp.arctanh, "cbrt": jnp.cbrt, "ceil": jnp.ceil, "cos": jnp.cos, "cosh": jnp.cosh,
    "erf": jax.scipy.special.erf, "erfc": jax.scipy.special.erfc, "erfinv": jax.scipy.special.erfinv,
    "exp": jnp.exp, "exp_approximate": jnp.exp, "exp2": jnp.exp2, "expm1": jnp.expm1, "floor": jnp.floor,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_approximate": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "log": jnp.log, "log1p": jnp.log1p, "log2": jnp.log2, "neg": jnp.negative, "reciprocal": lambda x: 1 / x,
    "relu": lambda x: jnp.maximum(x, 0), "relu6": lambda x: jnp.clip(x, 0, 6), "round": jnp.round,
    "rsqrt": jax.lax.rsqrt, "sigmoid": jax.nn.sigmoid, "sign": jnp.sign, "silu": jax.nn.silu, "sin": jnp.sin,
    "sinh": jnp.sinh, "softplus": jax.nn.softplus, "sqrt": jnp.sqrt, "square": jnp.square, "tan": jnp.tan,
    "tanh": jnp.tanh, "trunc": jnp.trunc,
}  # fmt: skip

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": jnp.add, "subtract": jnp.subtract, "multiply": jnp.multiply, "divide": jnp.divide, "pow": jnp.power,
    "maximum": jnp.maximum, "minimum": jnp.minimum, "atan2": jnp.arctan2,
}  # fmt: skip

_REDUCE: dict[str, Callable[..., Any]] = {
    "sum": jnp.sum, "sum_approximate": jnp.sum, "mean": jnp.mean, "max": jnp.max, "min": jnp.min, "prod": jnp.prod,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Numerics:
    """What is done to numbers. All floating values are float32, whatever a tensor stores.

    `name`: ``exact``, ``storage`` or ``chip``; `arch`: ``wormhole`` or ``blackhole``, only for ``chip``.
    ``storage`` computes exactly and rounds each result to what its tensor stores; ``chip`` computes as the matrix and
    vector units do, with the words of tt-metal's kernels.
    """

    name: str
    arch: str | None = None

    @property
    def _chip(self) -> bool:
        return self.arch is not None

    def store(self, x: Any, element: str, computed: bool = False) -> Any:
        """`x` as a tensor of `element` holds it: float32 stays float32, integers are not touched.

        `computed`: by the op that stores it, not only converted. A packer then rounds ties away from zero, and to 6
        bits of mantissa before it makes blocks; ttnn.typecast rounds ties to even, and blocks at once.
        """
        if self.name == "exact" or not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        if not self._chip:
            return formats.stored(x, element)
        if computed and element == "bf16":
            return formats.bf16_away(x)
        x = formats.flush(x)
        return formats.stored(formats.e8m6(x) if computed and element.startswith("bfp") else x, element)

    def copied(self, x: Any, element: str) -> Any:
        """`x`, held as `element`, through a destination register of 16 bits: the unpacker cuts float32 to bfloat16."""
        return formats.truncate(formats.flush(x), 7) if self._chip and element == "f32" else x

    def unary(self, name: str, x: Any, element_in: str, element_out: str) -> Any:
        """The function that TTNN calls `name` of each element. Raises KeyError if there is none.

        ``gelu`` is the one with erf, ``gelu_tanh`` the other.
        """
        exact = _UNARY[name]
        if not self._chip:
            return exact(x)
        wide = element_in == "f32"
        kernel = _KERNELS.get(name)
        value = exact(formats.flush(x)) if kernel is None else kernel(x, wide)
        return value if wide else vector_unit.narrow(name, self.arch or "", x, value)

    def binary(self, name: str, a: Any, b: Any, elements: Sequence[str]) -> Any:
        """The function of two tensors that TTNN calls `name`; `elements` are the operands' and the result's types."""
        exact = _BINARY[name]
        if not self._chip or not jnp.issubdtype(a.dtype, jnp.floating):
            return exact(a, b)
        if "f32" in elements[:2]:
            return vector_unit.power(formats.flush(a), formats.flush(b), True) if name == "pow" else exact(a, b)
        if name in ("add", "subtract"):
            return matrix_unit.add(a, b if name == "add" else -b)
        if name == "multiply" and all(element.startswith("bfp") for element in elements[:2]):
            return matrix_unit.multiply(a, b, 4)
        value = vector_unit.power(a, b, False) if name == "pow" else exact(a, b)
        return vector_unit.narrow(name, self.arch or "", a + b, value)

    def factors(self, a: Any, b: Any, elements: Sequence[str], config: ComputeConfig) -> list[tuple[Any, Any]]:
        """Pairs whose products the matrix unit sums for ``a @ b``, by fidelity; one exact pair if this is not a chip.

        `a` (in0) comes into SrcB, of which a phase takes 6 bits of mantissa and then 4; `b` (in1) into SrcA, of which
        it takes 4 and then 5. TF32 in a register of 19 bits has 10.
        """
        if not self._chip:
            return [(a, b)]
        held = [10 if element == "f32" and config.fp32_dest_acc else 7 for element in elements[:2]]
        a = formats.truncate(formats.flush(a), held[0])
        b = formats.truncate(formats.flush(b), min(held[1], 9))
        high_a, high_b = formats.truncate(a, 6), formats.truncate(b, 4)
        if config.fidelity == "lofi":
            return [(high_a, high_b)]
        if config.fidelity == "hifi2":
            return [(high_a, b)]
        if config.fidelity == "hifi3":
            return [(high_a, b), (a - high_a, high_b)]
        return [(a, b)]

    def accumulated(self, x: Any, config: ComputeConfig) -> Any:
        """A sum of products as the destination register holds it."""
        return formats.bf16(x) if self._chip and not config.fp32_dest_acc else x

    def matmul(self, a: Any, b: Any, elements: Sequence[str], config: ComputeConfig) -> Any:
        """``a @ b``, batched as jnp.matmul."""
        if self._chip:
            return matrix_unit.matmul(a, b, elements, config)
        pairs = self.factors(a, b, elements, config)
        return self.accumulated(sum(jnp.matmul(x, y, precision=_HIGHEST) for x, y in pairs), config)

    def linear(self, a: Any, b: Any, bias: Any, elements: Sequence[str], config: ComputeConfig) -> Any:
        """``a @ b + bias``; without a bias as `matmul`."""
        product = self.matmul(a, b, elements, config)
        return product if bias is None else product + bias

    def reduce(self, name: str, x: Any, axes: Sequence[int], element: str, config: ComputeConfig) -> Any:
        """``sum``, ``mean``, ``max``, ``min`` or ``prod`` over `axes`, which stay with size 1.

        ``sum_approximate`` is ttnn.sum's fast mode: float32 through the matrix unit.
        """
        if (
            not self._chip
            or name not in ("sum", "mean", "sum_approximate")
            or not jnp.issubdtype(x.dtype, jnp.floating)
        ):
            return _REDUCE[name](x, axis=tuple(axes), keepdims=True)
        if name == "sum_approximate":
            return chip_sums.rows(x, element, config)
        total = chip_sums.total(x, axes, element, config)
        count = math.prod(x.shape[axis] for axis in axes)
        return total * jnp.float32(1 / count) if name == "mean" else total

    def softmax(self, x: Any, axis: int, element: str, config: ComputeConfig, stable: bool = True) -> Any:
        """Softmax over `axis`; without `stable` a chip does not subtract the largest element first."""
        return chip_norms.softmax(x, axis, config, stable) if self._chip else jax.nn.softmax(x, axis)

    def layer_norm(self, x: Any, weight: Any, bias: Any, epsilon: float, element: str, config: ComputeConfig) -> Any:
        """Over the last axis; `weight` and `bias` may be None."""
        if self._chip:
            return chip_norms.norm(x, weight, bias, epsilon, config, centred=True)
        return _scaled(x - x.mean(-1, keepdims=True), weight, bias, epsilon)

    def rms_norm(self, x: Any, weight: Any, bias: Any, epsilon: float, element: str, config: ComputeConfig) -> Any:
        """Over the last axis; `weight` and `bias` may be None."""
        if self._chip:
            return chip_norms.norm(x, weight, bias, epsilon, config, centred=False)
        return _scaled(x, weight, bias, epsilon)


def _scaled(x: Any, weight: Any, bias: Any, epsilon: float) -> Any:
    x = x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + epsilon)
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


EXACT = Numerics("exact")
STORAGE = Numerics("storage")


_FAMILIES = {"wormhole": "wormhole", "wormhole_b0": "wormhole", "blackhole": "blackhole"}


def chip(arch: str) -> Numerics:
    """The numbers of a chip: ``wormhole`` or ``blackhole``, or `System.arch`. Raises ValueError for another."""
    if arch not in _FAMILIES:
        raise ValueError(f"numerics of {arch!r}: expected wormhole or blackhole")
    return Numerics("chip", _FAMILIES[arch])


CHIP = chip("wormhole")
