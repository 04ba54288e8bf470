"""Other places, layouts and types for the same values.

What a floating value loses in a narrower type, it loses as the result is stored (`Numerics.store`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from pytest_tt.emulator.elements import FLOATS, INTEGERS, element_of
from pytest_tt.emulator.ops.elementwise import integral
from pytest_tt.emulator.registry import meaning
from pytest_tt.emulator.values import integer

if TYPE_CHECKING:
    from pytest_tt.emulator.step import Step

_BITS = {"f32": jnp.float32, "f16": jnp.float16, "bf16": jnp.bfloat16}


def _to_integer(x: jax.Array, dtype: str, like_kernel: bool) -> jax.Array:
    """Towards zero. What does not fit becomes the nearest that does, and NaN 0, as in XLA.

    In the kernels (tt-metal's ckernel_sfpu_typecast.h) all that does not fit in int32 becomes its lowest value, NaN
    too; in uint32, what is negative, NaN with its sign bit too, becomes 0 and what is too large the highest value.
    """
    limits = jnp.iinfo(dtype)
    low, high = float(limits.min), float(limits.max) + 1  # both are float32 numbers
    least, most = jnp.array(limits.min, dtype), jnp.array(limits.max, dtype)
    number = jnp.trunc(x)
    fits = (number > low - 1) & (number < high) if low else (number >= 0) & (number < high)
    whole = jnp.where(fits, number, 0).astype(dtype)
    if not like_kernel:
        over = jnp.where(jnp.isnan(x), 0, jnp.where(x > 0, most, least))
    elif dtype == "int32":
        over = jnp.full(x.shape, least)
    else:
        over = jnp.where(jnp.signbit(x), 0, most)
    return jnp.where(fits, whole, over.astype(dtype))


@meaning(
    "typecast", "to_layout", "to_memory_config", "to_tensor_spec", "to_device", "from_device", "to_dtype", "assign",
    "clone",
)  # fmt: skip
def moved(step: Step, x: jax.Array, device: None = None) -> jax.Array:
    """The same values in the type of the result. Integers keep their lowest bits, as many as there are."""
    element = element_of(step.result)
    if element in FLOATS:
        return x.astype(jnp.float32)
    if element not in INTEGERS:
        raise step.error(f"a type {element} is not known")
    if integral(x):
        return x.astype(INTEGERS[element])
    return _to_integer(x, INTEGERS[element], step.numerics.arch is not None)


@meaning("bitcast_convert")
def bitcast_convert(step: Step, x: jax.Array) -> jax.Array:
    """The bits of each element as another type of the same width."""
    before, after = step.elements[0], element_of(step.result)
    given = x.astype(_BITS[before]) if before in _BITS else x
    wanted = jnp.dtype(_BITS.get(after) or INTEGERS.get(after, "void"))
    if wanted.itemsize != given.dtype.itemsize:
        raise step.error(f"the bits of {before} as {after}: expected a type of the same width")
    return jax.lax.bitcast_convert_type(given, wanted)


@meaning("reduce_precision", attributes="exponent_bits mantissa_bits")
def reduce_precision(step: Step, x: jax.Array) -> jax.Array:
    """Rounded to so many bits, in whatever type it is stored: part of the program, not of the chip's numbers."""
    return jax.lax.reduce_precision(x, integer(step, "exponent_bits"), integer(step, "mantissa_bits"))
