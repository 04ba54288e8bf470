"""Number formats of tensors and registers: what is left of a float32 when it is stored as one. All give float32.

XLA's code for CPUs takes subnormal operands as zeros and gives zeros for subnormal results, as the chip does. Only what
takes the bits of a number, or hands a number on, needs `flush`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGN = 0x80000000
_EXPONENT = 0x7F800000
_MANTISSA = 0x007FFFFF
_SMALLEST = 2.0**-126
_BLOCK = 16


def bits(x: Any) -> Any:
    """The 32 bits of each float32, as uint32."""
    return jax.lax.bitcast_convert_type(jnp.asarray(x, jnp.float32), jnp.uint32)


def floats(words: Any) -> Any:
    """The float32 that each uint32 holds."""
    return jax.lax.bitcast_convert_type(words, jnp.float32)


def flush(x: Any) -> Any:
    """`x` with zeros of the same sign where it is subnormal: no unit of the chip computes with subnormal numbers."""
    # Without bits: XLA compiles a program that flushes each result by them in twice the time.
    return jnp.where(jnp.abs(x) < jnp.float32(_SMALLEST), x * 0, x)


def truncate(x: Any, mantissa: int) -> Any:
    """`x` with `mantissa` explicit bits of mantissa (at most 23), the rest cut off."""
    return floats(bits(x) & jnp.uint32((0xFFFFFFFF << (23 - mantissa)) & 0xFFFFFFFF))


def bf16(x: Any) -> Any:
    """bfloat16, nearest, ties to even; NaN stays."""
    return jnp.asarray(x, jnp.float32).astype(jnp.bfloat16).astype(jnp.float32)


def bf16_away(x: Any) -> Any:
    """bfloat16 as the packer and the destination register round: nearest, ties away from zero.

    NaN becomes infinity of its sign, and what is subnormal zero (tt-isa-documentation, `Packers/FormatConversion.md`).
    """
    words = bits(x)
    rounded = (words + jnp.uint32(0x8000)) & jnp.uint32(0xFFFF0000)
    exponent = words & jnp.uint32(_EXPONENT)
    special = words & jnp.uint32(_SIGN | _EXPONENT)
    return floats(jnp.where(exponent == _EXPONENT, special, jnp.where(exponent == 0, jnp.uint32(0), rounded)))


def f16(x: Any) -> Any:
    """IEEE float16, nearest, ties to even."""
    return jnp.asarray(x, jnp.float32).astype(jnp.float16).astype(jnp.float32)


def tf32(x: Any) -> Any:
    """TF32 as the unpacker makes it of float32: 10 bits of mantissa, the rest cut off."""
    return truncate(x, 10)


def block(x: Any, mantissa: int) -> Any:
    """Block float: 16 neighbours of the last axis share the largest exponent; `mantissa` bits each, none hidden.

    As the packer and ttnn.typecast: aligning to the shared exponent cuts off, then nearest, ties away from zero, at
    most the largest mantissa (tt-isa-documentation, `Packers/FormatConversion.md`).
    """
    x = jnp.asarray(x, jnp.float32)
    shape = x.shape or (1,)
    width = shape[-1]
    padded = jnp.pad(x.reshape(shape), [(0, 0)] * (len(shape) - 1) + [(0, -width % _BLOCK)])
    words = bits(padded).reshape(*padded.shape[:-1], -1, _BLOCK)
    exponent = (words & jnp.uint32(_EXPONENT)) >> 23
    shared = exponent.max(-1, keepdims=True)
    significand = jnp.where(exponent == 0, jnp.uint32(0), (words & jnp.uint32(_MANTISSA)) | jnp.uint32(_MANTISSA + 1))
    significand = significand >> jnp.minimum(shared - exponent, jnp.uint32(31))
    shift = 24 - mantissa
    kept = (significand + jnp.uint32(1 << (shift - 1))) >> shift
    kept = jnp.minimum(kept, jnp.uint32((1 << mantissa) - 1))
    scale = jnp.ldexp(jnp.float32(1), shared.astype(jnp.int32) - 127 - (mantissa - 1))
    sign = jnp.where(words >> 31 == 1, jnp.float32(-1), jnp.float32(1))
    return (sign * kept.astype(jnp.float32) * scale).reshape(padded.shape)[..., :width].reshape(x.shape)


def bfp8(x: Any) -> Any:
    """bfloat8_b: blocks with 7 bits of mantissa."""
    return block(x, 7)


def bfp4(x: Any) -> Any:
    """bfloat4_b: blocks with 3 bits of mantissa."""
    return block(x, 3)


def bfp2(x: Any) -> Any:
    """bfloat2_b: blocks with 1 bit of mantissa."""
    return block(x, 1)


def e8m6(x: Any) -> Any:
    """6 bits of mantissa, ties away from zero: what the packer makes of a computed value before it makes blocks."""
    return floats((bits(x) + jnp.uint32(0x00010000)) & jnp.uint32(0xFFFE0000))


_STORED: dict[str, Callable[[Any], Any]] = {
    "bf16": bf16, "f16": f16, "bfp_bf8": bfp8, "bfp_bf4": bfp4, "bfp_bf2": bfp2,
    "bfp_f8": bfp8, "bfp_f4": bfp4, "bfp_f2": bfp2,
}  # fmt: skip


def stored(x: Any, element: str) -> Any:
    """`x` as a tensor of `element` (the name that the compiler prints) holds it; integers and ``f32`` stay."""
    convert = _STORED.get(element)
    return x if convert is None else convert(x)
