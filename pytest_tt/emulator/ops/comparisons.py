"""Comparisons, logic of masks, and choice by them. A mask holds 0 and 1 in whatever type its tensor has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from pytest_tt.emulator.elements import dtype_of
from pytest_tt.emulator.ops.elementwise import FUSED, fused
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tt.emulator.step import Step

_COMPARISONS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "ge": jnp.greater_equal,
    "gt": jnp.greater,
    "le": jnp.less_equal,
    "lt": jnp.less,
}
_LOGIC: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "logical_and": lambda a, b: (a != 0) & (b != 0),
    "logical_or": lambda a, b: (a != 0) | (b != 0),
    "logical_xor": lambda a, b: (a != 0) ^ (b != 0),
}


def _mask(step: Step, held: jax.Array) -> jax.Array:
    return held.astype(dtype_of(step.result))


def _compared(name: str) -> None:
    def compute(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
        if a.dtype != b.dtype:
            raise step.error(f"{name} of {step.elements[0]} and {step.elements[1]}: expected one type")
        return fused(step, a, b, lambda x, y: _mask(step, _COMPARISONS[name](x, y)))

    meaning(name, attributes=FUSED)(compute)


def _logical(name: str) -> None:
    def compute(step: Step, a: jax.Array, b: jax.Array) -> jax.Array:
        return fused(step, a, b, lambda x, y: _mask(step, _LOGIC[name](x, y)))

    meaning(name, attributes=FUSED)(compute)


for _name in _COMPARISONS:
    _compared(_name)
for _name in _LOGIC:
    _logical(_name)


@meaning("logical_not")
def logical_not(step: Step, x: jax.Array) -> jax.Array:
    """1 where `x` is 0."""
    return _mask(step, x == 0)


@meaning("isfinite")
def isfinite(step: Step, x: jax.Array) -> jax.Array:
    """1 where `x` is neither NaN nor infinite."""
    return _mask(step, jnp.isfinite(x))


@meaning("where")
def where(step: Step, mask: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """`a` where `mask` is not 0, else `b`."""
    if a.dtype != b.dtype:
        raise step.error(f"where with {step.elements[1]} and {step.elements[2]}: expected one type")
    return jnp.where(mask != 0, a, b)


@meaning("clamp_scalar", attributes="min max")
def clamp_scalar(step: Step, x: jax.Array) -> jax.Array:
    """Not below `min`, then not above `max`."""
    low, high = (jnp.asarray(number(step, name)).astype(x.dtype) for name in ("min", "max"))
    return jnp.minimum(jnp.maximum(x, low), high)


@meaning("clamp_tensor")
def clamp_tensor(step: Step, x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """Not below `low`, then not above `high`."""
    if not x.dtype == low.dtype == high.dtype:
        raise step.error(f"clamp_tensor of {', '.join(step.elements)}: expected one type")
    return jnp.minimum(jnp.maximum(x, low), high)
