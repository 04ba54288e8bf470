"""Activations as the vector unit's kernels compute them; see `vector_unit` for the source and what `wide` means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from pytest_tt.emulator import formats
from pytest_tt.emulator.vector_unit import (
    exp,
    exp2_21f,
    exp_21f,
    from_words,
    inverse,
    polynomial,
    reciprocal_estimate,
    rounded,
    scaled,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_ERF_WIDE = (
    (1.1283791065e00, 2.1477432549e-01, 6.2133435160e-02, 5.6230435148e-03, 6.1307044234e-04, 1.7678321456e-05,
     2.7384647439e-08, -2.8632063387e-10),
    (1.0, 5.2367275953e-01, 1.2961706519e-01, 1.9642570987e-02, 1.9545555115e-03, 1.3179056987e-04, 1.3156344494e-06,
     -3.5153888689e-09, -6.7350725691e-12),
)  # fmt: skip
_ERF_NARROW = (
    (1.1280932447e00, 2.7609212279e-01, 4.5400281738e-02, 7.4481184425e-04),
    (1.0, 5.7439188334e-01, 1.3675764810e-01, 8.2844606784e-03, 2.4813862145e-05),
)


def sigmoid(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_sigmoid.h`: 1 / (1 + exp(-x))."""
    return inverse(1.0 + (exp(-x, True) if wide else exp_21f(-x)), wide)


def silu(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_silu.h`."""
    return x * sigmoid(x, wide)


def tanh(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_tanh.h`: expm1(2x) / (expm1(2x) + 2), or a polynomial of degree 6."""
    if not wide:
        value = polynomial(
            jnp.abs(x), 0.0, 0.999004364013671875, 3.0897438526153564453125e-2, -0.4890659749507904052734375,
            0.281917631626129150390625, -6.6649019718170166015625e-2, 5.876733921468257904052734375e-3,
        )  # fmt: skip
        return jnp.copysign(jnp.minimum(value, 1.0), x)
    twice = jnp.abs(x + x)
    whole = jnp.clip(jnp.round(jnp.abs(x * jnp.float32(2.0 * 1.442695))), 0, 255)
    rest = whole * jnp.float32(-0.6931471805599453) + twice
    series = polynomial(rest, 0.5, 1.666667163e-1, 4.166680202e-2, 8.331298828e-3, 1.393318176e-3, 1.974105835e-04)
    value = series * (rest * rest) + rest
    scale = from_words((jnp.clip(whole, 0, 100).astype(jnp.int32) + 126) << 23)
    above = value * scale + (scale - 0.5)
    below = above + 1.0
    inverted = reciprocal_estimate(below)
    inverted = inverted * (-below * inverted + 1.0) + inverted
    ratio = above * inverted
    ratio = (-below * ratio + above) * inverted + ratio
    result = jnp.where(jnp.abs(x) < 2.0**-12, jnp.abs(x), ratio)
    result = jnp.where(whole >= 61, jnp.where(jnp.isnan(x), x, 1.0), result)
    return jnp.copysign(result, x)


def erf(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_erf.h`: a ratio of polynomials in the square."""
    x = jnp.clip(x, -10.0, 10.0)
    above, below = _ERF_WIDE if wide else _ERF_NARROW
    square = x * x
    return jnp.clip(polynomial(square, *above) * x * inverse(polynomial(square, *below), True), -1.0, 1.0)


def gelu(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_gelu.h`: by erf, or in three pieces; zero below -5.54."""
    if wide:
        value = erf(jnp.minimum(x * jnp.float32(0.7071067811865475), 10.0), True)
        result = jnp.where(value == -1.0, x * jnp.float32(2.0**-25), x * (0.5 + 0.5 * value))
        return jnp.where(jnp.isnan(x), x, jnp.where(x > jnp.float32(-5.54259443), result, 0.0))
    square = x * x
    tail = exp2_21f(jnp.clip(square * jnp.float32(-0.72134752044) + 127.0, 0.0, 255.0))
    tail = tail * polynomial(x, 3.0369991064e-01, 9.5413386822e-02, 1.3809983619e-02, 7.5950479368e-04)
    grid = jnp.float32(2.0**-25)
    result = x * (jnp.round(tail / grid) * grid)
    core = polynomial(
        square, 3.9894227818e-01, -6.6361041488e-02, 9.7720050615e-03, -1.0717806322e-03, 8.1812159812e-05,
        -3.8082057209e-06, 7.9821413868e-08,
    )  # fmt: skip
    result = jnp.where(x >= -3.125, x * (0.5 + x * core), result)
    result = jnp.where(x >= 2.78125, x, result)
    return jnp.where(x > jnp.float32(-5.54259443), result, 0.0)


def gelu_tanh(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_gelu.h`: with tanh's form for 32 bits in both."""
    inner = x * (jnp.float32(0.044715) * (x * x) + 1.0)
    half = 0.5 * x
    return half * tanh(jnp.float32(0.7978845608028654) * inner, True) + half


def gelu_approximate(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_gelu.h`, approximate: half of x and six straight lines of its magnitude."""
    size = jnp.abs(x)
    slopes = (0.1928, 0.4939, 0.6188, 0.6099, 0.5402, 0.5)
    starts = (-0.00010443, -0.1604, -0.2795, -0.2635, -0.1194, 0.0)
    value: Any = formats.f16(slopes[-1]) * size + formats.f16(starts[-1])
    for limit, slope, start in reversed(list(zip((0.5, 1.0, 1.5, 2.0, 3.0), slopes[:-1], starts[:-1], strict=True))):
        value = jnp.where(size < limit, formats.f16(slope) * size + formats.f16(start), value)
    return formats.truncate(0.5 * x + value, 23 if wide else 7)


def exp_approximate(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_exp.h`, approximate: a straight line into exponent and mantissa, 8 bits below the point."""
    line = jnp.maximum(x, -88.5) * jnp.float32(256 * 1.4426950408889634) + jnp.float32(32500.818359375)
    value = from_words(jnp.clip(jnp.round(line), 0, 65535).astype(jnp.int32) << 15)
    return value if wide else formats.truncate(value, 7)


def softplus(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_softplus.h` with beta 1 and threshold 20."""
    size = jnp.abs(x)
    if wide:
        rest = polynomial(
            size, 6.9310557842e-01, -4.9926245213e-01, 1.2186349183e-01, 5.6753782555e-03, -1.0528374463e-02,
            2.7290175203e-03, -3.4358495031e-04, 2.1285692128e-05, -4.8245715334e-07,
        )  # fmt: skip
        whole, count = rounded(-size * jnp.float32(1.4426950408889634))
        small = whole * jnp.float32(-3.19461832987e-05) + (whole * jnp.float32(-0.69311523437500) - size)
        small = scaled(polynomial(small, 1.0, 1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040), count)
        rest = jnp.where(size > 5.0, small * (1.0 + small * (-0.5 + small * (1 / 3))), rest)
    else:
        rest = polynomial(
            size, 6.9423984729e-01, -5.0932420424e-01, 1.4279095486e-01, -1.3000584069e-02, -1.8627923291e-03,
            5.0152968088e-04, -3.1273466851e-05,
        )  # fmt: skip
        rest = jnp.where(size > 5.0, 0.0, rest)
    return jnp.where(x > 20.0, x, jnp.maximum(x, 0.0) + rest)


def negative(x: Any, wide: bool) -> Any:
    """The sign bit flipped."""
    return from_words(words(x) ^ jnp.int32(-(2**31)))


FUNCTIONS: dict[str, Callable[[Any, bool], Any]] = {
    "sigmoid": sigmoid, "silu": silu, "tanh": tanh, "erf": erf, "gelu": gelu, "gelu_tanh": gelu_tanh,
    "gelu_approximate": gelu_approximate, "exp_approximate": exp_approximate, "softplus": softplus, "neg": negative,
}  # fmt: skip
"""By TTNN's name; ``gelu_tanh`` is the other GELU, the ``approximate`` ones are its fast modes."""
