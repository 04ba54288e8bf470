"""The matrix unit (FPU): products and sums through its source registers, in 16 or 32 bits of destination register.

What it does to numbers: `MVMUL.md`, `ELWADD.md`, `SrcASrcB.md` and `Packers/FormatConversion.md` of Tenstorrent's
tt-isa-documentation; the widths inside a sum of products from Wolfpine 2.2 (`pe/tensix/backends/matrix.py`, BSD-3),
whose model follows ttsim's: an instruction multiplies 16 pairs; products of 12 bits are aligned to the largest
exponent of their group of eight and rounded there; the sums of both groups are added to the destination register.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pytest_tt.emulator import formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.emulator.compute_config import ComputeConfig

PHASES = {"lofi": 1, "hifi2": 2, "hifi3": 3, "hifi4": 4}
"""How many fidelity phases a product takes."""
_TILE = 32  # of K that one tile holds
_LANES = 16  # of K that one instruction multiplies
_GROUP = 8  # of those whose products are aligned to each other
_PRODUCT_BITS = 10  # of fraction in a product of 1.4 and 1.6 bits
_AWAY = 1 + 2.0**-20
"""A product that lies half-way between two multiples of its quantum is moved away from zero by this factor, others
(they have 12 bits) do not get past one."""
_HIGHEST = jax.lax.Precision.HIGHEST


def registers(a: Any, b: Any, elements: Sequence[str], config: ComputeConfig) -> tuple[Any, Any]:
    """What the unpackers make of the operands of a product: bf16 or, of float32 with 32-bit sums, TF32.

    `b` comes into SrcA, whose last bit of TF32 no phase takes.
    """
    held = [10 if element == "f32" and config.fp32_dest_acc else 7 for element in elements[:2]]
    return formats.truncate(a, held[0]), formats.truncate(b, min(held[1], 9))


def split(a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """High and low parts of `a` (SrcB: 6 bits of mantissa, then 4) and `b` (SrcA: 4 bits, then 5)."""
    a_high, b_high = formats.truncate(a, 6), formats.truncate(b, 4)
    return a_high, a - a_high, b_high, b - b_high


def matmul(a: Any, b: Any, elements: Sequence[str], config: ComputeConfig) -> Any:
    """``a @ b`` for arrays of two axes or more, batched as jnp.matmul: what the destination register holds."""
    a, b = registers(a, b, elements, config)
    size = a.shape[-1]
    pad = -size % _TILE
    a = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, pad)])
    b = jnp.pad(b, [(0, 0)] * (b.ndim - 2) + [(0, pad), (0, 0)])
    phases = PHASES[config.fidelity]
    start = jnp.zeros((*jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), jnp.float32)
    if config.fp32_dest_acc:
        # Only the first phase rounds enough to matter; the others are products of whole matrices.
        group = functools.partial(_add_group, a, b)
        sums = jax.lax.fori_loop(0, -(-size // _GROUP), group, start)
        return sums + _later_phases(a, b, phases) if phases > 1 else sums
    return jax.lax.fori_loop(0, (size + pad) // _TILE, functools.partial(_add_tile, a, b, phases), start)


def _add_group(a: Any, b: Any, step: Any, sums: Any) -> Any:
    """The first phase of eight products, added in 32 bits."""
    left = jax.lax.dynamic_slice_in_dim(a, step * _GROUP, _GROUP, a.ndim - 1)
    right = jax.lax.dynamic_slice_in_dim(b, step * _GROUP, _GROUP, b.ndim - 2)
    return sums + _group(left, right, formats.truncate(left, 6), formats.truncate(right, 4), 1.0, 0)[0]


def _add_tile(a: Any, b: Any, phases: int, step: Any, sums: Any) -> Any:
    """A tile, phase by phase and within one instruction by instruction, added in 16 bits."""
    left = jax.lax.dynamic_slice_in_dim(a, step * _TILE, _TILE, a.ndim - 1)
    right = jax.lax.dynamic_slice_in_dim(b, step * _TILE, _TILE, b.ndim - 2)
    a_high, a_low, b_high, b_low = split(left, right)
    a_parts, b_parts = jnp.stack([a_high, a_high, a_low, a_low]), jnp.stack([b_high, b_low, b_high, b_low])
    scales = jnp.asarray([_phase_scale(phase) for phase in range(4)], jnp.float32)

    def instruction(number: Any, sums: Any) -> Any:
        phase, at = number // (_TILE // _LANES), number % (_TILE // _LANES) * _LANES
        columns = [jax.lax.dynamic_slice_in_dim(x, at, _LANES, x.ndim - 1) for x in (left, a_parts[phase])]
        rows = [jax.lax.dynamic_slice_in_dim(x, at, _LANES, x.ndim - 2) for x in (right, b_parts[phase])]
        groups = [
            _group(columns[0], rows[0], columns[1], rows[1], scales[phase], start) for start in range(0, _LANES, _GROUP)
        ]
        return _accumulate(sums, groups)

    return jax.lax.fori_loop(0, phases * (_TILE // _LANES), instruction, sums)


def _phase_scale(phase: int) -> float:
    """By how much the exponents of a phase's products are below those of the operands."""
    return 2.0 ** -(5 * (phase & 1) + 7 * (phase >> 1))


def add(a: Any, b: Any, wide: bool = False) -> Any:
    """``a + b``, element by element (ELWADD), of what the registers hold of float32 (`wide`) or bfloat16.

    The smaller operand is cut to 10 bits below the larger one's exponent; without `wide` the sum becomes bfloat16.
    """
    special = jnp.where(jnp.isfinite(a), b, a)
    a, b = (_held(x, wide) for x in (a, b))
    finite = jnp.isfinite(a) & jnp.isfinite(b)
    quantum = jnp.maximum(_power(a), _power(b)) * 2.0**-_PRODUCT_BITS
    inverse = jnp.where(quantum > 0, 1 / quantum, 0)
    total = (_away(a * inverse) + _away(b * inverse)) * quantum
    total = jnp.where(finite, total, jnp.where(jnp.isnan(special), jnp.inf, special))
    return total if wide else formats.bf16_away(total)


def multiply(a: Any, b: Any, phases: int, wide: bool = False) -> Any:
    """``a * b``, element by element (ELWMUL), `a` in SrcA, `b` in SrcB; without `wide` each phase is rounded."""
    a, b = _held(a, wide), _held(b, wide)
    b_high, b_low, a_high, a_low = split(b, formats.truncate(a, 9))
    power = _power(a) * _power(b)
    total: Any = jnp.float32(0)
    for phase in range(phases):
        product = (a_low if phase & 1 else a_high) * (b_low if phase & 2 else b_high)
        if wide:
            total = total + product
        else:
            total = _accumulate(total, [(product, power * _phase_scale(phase)), (jnp.float32(0), jnp.float32(0))])
    return total


def _held(x: Any, wide: bool) -> Any:
    return formats.truncate(x, 10 if wide else 7)


def _away(x: Any) -> Any:
    """The nearest whole number, ties away from zero."""
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


def _later_phases(a: Any, b: Any, phases: int) -> Any:
    """All phases but the first, whose rounding is too small to matter for 32-bit sums."""
    a_high, a_low, b_high, b_low = split(a, b)
    if phases == 2:
        return jnp.matmul(a_high, b_low, precision=_HIGHEST)
    if phases == 3:
        return jnp.matmul(a_high, b_low, precision=_HIGHEST) + jnp.matmul(a_low, b_high, precision=_HIGHEST)
    return jnp.matmul(a_high, b_low, precision=_HIGHEST) + jnp.matmul(a_low, b, precision=_HIGHEST)


def _group(left: Any, right: Any, a: Any, b: Any, scale: Any, start: int) -> tuple[Any, Any]:
    """Sum of eight products of `a` and `b`, parts of `left` and `right`, as rounded within their group, and the power
    of two that they are aligned to."""
    left, right = _power(left), _power(right)
    powers = [(_column(left, k), _row(right, k)) for k in range(start, start + _GROUP)]
    largest = functools.reduce(jnp.maximum, (x * y for x, y in powers))
    quantum = largest * (scale * 2.0**-_PRODUCT_BITS)
    inverse = jnp.where(quantum > 0, _AWAY / quantum, 0)
    products = (_column(a, k) * _row(b, k) * inverse for k in range(start, start + _GROUP))
    total = sum(jax.lax.round(x, jax.lax.RoundingMethod.TO_NEAREST_EVEN) for x in products)
    return total * quantum, largest * scale


def _column(x: Any, at: int) -> Any:
    return x[..., :, at : at + 1]


def _row(x: Any, at: int) -> Any:
    return x[..., at : at + 1, :]


def _power(x: Any) -> Any:
    """The power of two at or below the magnitude of each element; zero for zero."""
    return formats.floats(formats.bits(x) & jnp.uint32(0x7F800000))


def _accumulate(sums: Any, groups: list[tuple[Any, Any]]) -> Any:
    """A register of 16 bits plus both groups: each is first cut to 10 bits below the largest exponent."""
    (first, first_power), (second, second_power) = groups
    quantum = jnp.maximum(jnp.maximum(first_power, second_power), _power(sums)) * 2.0**-_PRODUCT_BITS
    inverse = jnp.where(quantum > 0, 1 / quantum, 0)
    total = _away(sums * inverse) + jnp.floor(first * inverse + 0.5) + jnp.floor(second * inverse + 0.5)
    return formats.bf16_away(total * quantum)
