"""Products of matrices, with the bias and the activation that are fused with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from pytest_tt.emulator.attributes import Opaque, parse
from pytest_tt.emulator.elements import element_of
from pytest_tt.emulator.numerics import EXACT
from pytest_tt.emulator.ops.elementwise import activated, activation_name, integral
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import flag

if TYPE_CHECKING:
    from pytest_tt.emulator.step import Step

_ATTRIBUTES = "transpose_a transpose_b activation ttcore.fp32_exact"
_EXACT = "ttcore.fp32_exact"


def _product(step: Step, a: jax.Array, b: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """``a @ b + bias``; in float32 where the program asks for it: how the card does that, is not known."""
    if integral(a) or integral(b):
        raise step.error(f"a product of {step.elements[0]} and {step.elements[1]}: expected floating values")
    if a.ndim < 2 or b.ndim < 2:
        raise step.error(f"a product of {a.shape} and {b.shape}: expected matrices")
    if flag(step, "transpose_a", False):
        a = jnp.swapaxes(a, -1, -2)
    if flag(step, "transpose_b", False):
        b = jnp.swapaxes(b, -1, -2)
    numerics = EXACT if flag(step, _EXACT, False) else step.numerics
    product: jax.Array = numerics.linear(a, b, bias, step.elements[:2], step.config)
    return product


def _finished(step: Step, x: jax.Array) -> jax.Array:
    """An activation in the program config comes before the one of the op (tt-mlir runtime, matmul.cpp)."""
    config = step.attributes.get("matmul_program_config")
    name = step.attributes.get("activation")
    if isinstance(config, Opaque) and "fused_activation" in config.text:
        found = re.search(r"fused_activation = (<.*?>|#[\w.]+<.*?>)", config.text)
        if found is None:
            raise step.error(f"the activation in matmul_program_config is in a form that is not known: {config.text}")
        text = found[1] if found[1].startswith("#") else f"#ttnn.unary_with_param{found[1]}"
        name = activation_name(step, parse(f"value = {text}")["value"])
    if name is None:
        return x
    if not isinstance(name, str):
        raise step.error(f"attribute activation is {name!r}: expected a name")
    element = element_of(step.result)
    return activated(step, name, x, element, element)


@meaning("matmul", attributes=_ATTRIBUTES)
def matmul(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
    """``a @ b``, each transposed or not; leading axes are those of a batch and are broadcast."""
    return _finished(step, _product(step, a, b))


@meaning("linear", attributes=_ATTRIBUTES)
def linear(step: Step, a: jax.Array, b: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """``a @ b + bias``."""
    return _finished(step, _product(step, a, b, bias))
