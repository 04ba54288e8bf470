"""How far the emulator's result of a case is from the recorded one, in its units and against the case's own error."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.calibration.cases import ELEMENTWISE, MOVEMENT, Case, case
from pytest_tt.emulator.numerics import chip

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.calibration.recorded import Recorded

RATIO = 0.5
"""The aim for products, reductions, softmax and norms: difference over the recorded result's own error."""


@dataclass(frozen=True)
class Measured:
    """A case, compared. `equal` is the share of elements that are equal to the bit (zeros of either sign are)."""

    case: Case
    name: str
    simulator: str
    equal: float
    ulp: float
    """Largest difference in units of the last place of the recorded value; of a block format, of its block."""
    ratio: float
    """Norm of emulated minus recorded over norm of recorded minus float64; inf if the recorded one has no error."""
    special: int
    """Elements of which one is infinite or NaN and the other is not the same."""

    @property
    def reached(self) -> bool:
        """Whether the aim is reached: within one unit of the last place, or `RATIO`."""
        if self.case.kind in (ELEMENTWISE, MOVEMENT):
            return self.ulp <= 1 and not self.special
        return self.ratio <= RATIO and not self.special


@functools.cache
def _emulated(name: str, arch: str, element: str) -> Callable[..., Any]:
    what, numerics = case(name), chip(arch)

    def emulate(*operands: Any) -> Any:
        value = jnp.asarray(what.emulate(numerics, list(operands), (*what.elements, element)))
        return numerics.store(value, element, computed=what.kind != MOVEMENT)

    return jax.jit(emulate)


def measure(recorded: Recorded) -> Measured:
    """Emulates the case and compares."""
    what = case(recorded.name)
    emulated = _emulated(recorded.name, recorded.arch, recorded.element)(*recorded.operands)
    found, result = (np.asarray(x, np.float64).reshape(recorded.result.shape) for x in (emulated, recorded.result))
    with np.errstate(all="ignore"):
        exact = np.asarray(what.reference(*(x.astype(np.float64) for x in recorded.operands)), np.float64)
        exact = exact.reshape(result.shape)
        equal = (found == result) | (np.isnan(found) & np.isnan(result))
        comparable = np.isfinite(found) & np.isfinite(result)
        difference = np.where(comparable & ~equal, np.abs(found - result), 0)
        # Infinity stands in for what float64 leaves finite at the edges: no error to compare with.
        own = np.linalg.norm(np.where(comparable & np.isfinite(exact), result - exact, 0))
    apart = float(np.linalg.norm(difference))
    return Measured(
        what,
        recorded.name,
        recorded.simulator,
        float(equal.mean()),
        float((difference / _unit(result, recorded.element)).max()),
        0.0 if apart == 0 else apart / float(own) if own else np.inf,
        int((~comparable & ~equal).sum()),
    )


def _unit(values: Any, element: str) -> Any:
    """The unit of the last place of each value."""
    size = np.where(np.isfinite(values), np.abs(values), 0)
    if element == "bfp_bf8" and size.shape[-1] % 16 == 0:
        blocks = size.reshape(*size.shape[:-1], -1, 16)
        size = np.broadcast_to(blocks.max(-1, keepdims=True), blocks.shape).reshape(size.shape)
    bits = {"bfp_bf8": 6, "bf16": 7}.get(element, 23)
    return 2.0 ** (np.floor(np.log2(np.maximum(size, 2.0**-126))) - bits)
