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

_BOTH = frozenset(
    ["cos_edge_bf16", "gelu_tanh_bf16", "rms_norm_bf16", "rsqrt_edge_bf16", "sin_edge_bf16", "sqrt_edge_bf16"]
)
_FLOAT32 = frozenset(["gelu_f32", "pow_f32", "silu_f32"])
_WOLFPINE = frozenset(
    [
        "matmulk256_bf16_HiFi4_acc32_l1", "matmulk256_f32_HiFi4_acc32_l1", "sum_dim-1_acc32_f32", "sum_dim-1_f32",
        "sum_dim-2_f32",
    ]
)  # fmt: skip
_LONG = frozenset(["matmulk256_bfp8_HiFi4_acc16", "matmulk256_bfp8_HiFi2_acc16", "matmulk256_bfp8_LoFi_acc16"])
NOT_REACHED: dict[str, frozenset[str]] = {
    "blackhole_ttsim": _BOTH | _FLOAT32 | _LONG,
    "wormhole_ttsim": _BOTH | _LONG,
    "blackhole_wolfpine": _BOTH
    | _FLOAT32
    | _WOLFPINE
    | {"abs_edge_bf16", "mul_edge_bf16", "neg_edge_bf16", "relu_edge_bf16"}
    | {"layer_norm_bf16", "layer_norm_f32", "layer_norm_hifi4acc32_bf16"},
    "wormhole_wolfpine": _FLOAT32 | _WOLFPINE | {"sigmoid_f32"},
}
"""By simulator, the cases whose aim is not reached: docs/calibration.md says why."""
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


def _numerics_of(recorded: Recorded) -> str:
    """The chip whose numerics to take: the same where they differ in nothing, so that a case is compiled once.

    They differ in special values and in what ttnn.matmul does if it is told nothing.
    """
    return recorded.arch if any(part in recorded.name for part in ("edge", "default", "dot3")) else "blackhole"


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
    emulated = _emulated(recorded.name, _numerics_of(recorded), recorded.element)(*recorded.operands)
    with np.errstate(invalid="ignore"):  # of a signalling NaN, on some processors
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
