"""The vector unit (SFPU): the functions that its kernels compute in float32, term by term.

Source of the algorithms and constants: `ckernel_sfpu_*.h` of tt-metal as ttnn 0.81.1 ships them (Apache-2.0), whose
names stand at the functions. Each has a form for a destination register of 32 bits (`wide`) and one for 16 bits, which
is less exact and rounds to bfloat16 at its end. XLA contracts ``a * b + c`` to one rounding, as the unit's SFPMAD does
in nearly all cases; where it does not, the last bit of float32 may differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pytest_tt.emulator import formats

if TYPE_CHECKING:
    from collections.abc import Callable

_hex = float.fromhex
_INTEGERS = 12582912.0
"""1.5 * 2^23: added and subtracted, it rounds to whole numbers, which its last bits then hold."""
LN2 = 0.6931471805599453
_EXPONENT_UNIT = 0x00800000


def _kept(x: Any) -> Any:
    """`x` rounded to float32 here: XLA must not fold it into what follows."""
    return jax.lax.optimization_barrier(x)


def polynomial(x: Any, *coefficients: float) -> Any:
    """Horner's scheme; the coefficients begin with the constant."""
    total: Any = jnp.float32(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + jnp.float32(coefficient)
    return total


def words(x: Any) -> Any:
    """The bits of float32 as int32."""
    return jax.lax.bitcast_convert_type(jnp.asarray(x, jnp.float32), jnp.int32)


def from_words(bits: Any) -> Any:
    """The float32 that an int32 holds."""
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def scaled(x: Any, exponent: Any) -> Any:
    """``x * 2^exponent`` by adding to the exponent field: zero below the smallest normal number, inf above."""
    field = ((words(x) >> 23) & 0xFF) + exponent
    moved = from_words((words(x) & ~0x7F800000) | (jnp.clip(field, 0, 255) << 23))
    return jnp.where(field >= 255, jnp.copysign(jnp.inf, x), jnp.where(field < 1, 0.0, moved))


def rounded(x: Any) -> tuple[Any, Any]:
    """The nearest whole number, as float32 and as int32."""
    shifted = x + _INTEGERS
    return _kept(shifted) - _INTEGERS, words(shifted) - words(jnp.float32(_INTEGERS))


def exp(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_exp.h`: a polynomial of degree 7 after reduction, or exp_21f of Moroz et al. (2022)."""
    return _exp_wide(x) if wide else exp_21f(x, 1.001953125)


def _exp_wide(x: Any) -> Any:
    whole = jnp.clip(jnp.round(jnp.nan_to_num(jnp.float32(1.442695) * x, posinf=1e4, neginf=-1e4)), -400, 400)
    rest = whole * jnp.float32(-6.93145752e-1) + x
    rest = whole * jnp.float32(-1.42860677e-6) + rest
    series = polynomial(rest, 1.0, 1.0, 4.99999851e-1, 1.66664720e-1, 4.16695364e-2, 8.37312452e-3, 1.37805939e-3)
    value = scaled(series, whole.astype(jnp.int32))
    value = jnp.where(whole >= 129, jnp.inf, jnp.where(whole <= -127, 0.0, value))
    return jnp.where(jnp.isnan(x), x, value)


def exp_21f(x: Any, constant: float = 1.0017248) -> Any:
    """2^(x / ln 2): the whole part into the exponent, a parabola of the rest into the mantissa."""
    position = jnp.clip(x * jnp.float32(1.442695021629333) + 127.0, 0.0, 255.0)
    position = jnp.where(jnp.isnan(x), 255.0, position)
    return exp2_21f(position, constant)


def exp2_21f(position: Any, constant: float = 1.0017248) -> Any:
    """``2^(position - 127)`` for 0 <= position < 256."""
    whole = (position * jnp.float32(2.0**23)).astype(jnp.int32)
    rest = (whole & 0x7FFFFF).astype(jnp.float32)
    series = polynomial(rest, constant, 7.839635491371155e-08, 4.791750143340323e-15)
    value = from_words((words(series) & 0x007FFFFF) | (whole & 0x7F800000))
    return jnp.where(position >= 255, jnp.inf, value)


def expm1(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_expm1.h`."""
    whole, count = rounded(jnp.float32(1.442695) * x)
    if wide:
        rest = whole * jnp.float32(-0.693145752) + x
        rest = whole * jnp.float32(-1.42860677e-6) + rest
        half = from_words(jnp.int32(0x3EFFFFFF))
        series = (
            polynomial(rest, 0.0, 1.666667163e-1, 4.166680202e-2, 8.333439939e-3, 1.393107930e-3, 1.974105835e-4) + half
        )
        value = series * (rest * rest) + jnp.where(whole == 1, rest + 0.5, rest)
        scale = scaled(jnp.float32(0.5), count)
        bias = scale - 0.5
        lost = (scale - bias) - 0.5
        moved = (value * scale + lost) + bias
    else:
        rest = whole * jnp.float32(-LN2) + x
        series = polynomial(rest, 0.5, 1.666259766e-1, 4.177856445e-02, 8.361816406e-03)
        value = series * (rest * rest) + rest
        scale = scaled(jnp.float32(0.5), count)
        moved = scale * value + (scale - 0.5)
    moved = jnp.where(whole >= 129, jnp.inf, jnp.where(whole <= -125, -0.5, moved))
    twice = value * 2 if wide else moved * 2
    result = jnp.where(whole == 0, value, jnp.where((whole == 1) & wide, twice, moved * 2))
    return jnp.where(jnp.isnan(x), x, result)


def log(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_log.h`."""
    x = x + 0.0
    shift = (words(x) - words(jnp.float32(0.75))) & ~0x7FFFFF
    rest = from_words(words(x) - shift) - 1.0
    value = _log1p_series(rest, wide)
    value = shift.astype(jnp.float32) * jnp.float32(0.693147182 * 2.0**-23) + value
    value = jnp.where(x == 0, -jnp.inf, jnp.where(jnp.isposinf(x), jnp.inf, value))
    return jnp.where(x >= 0, value, jnp.nan)


def log1p(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_log1p.h`."""
    more = x + 1.0
    shift = (words(more) - words(jnp.float32(0.75))) & ~0x7FFFFF
    rest = from_words(words(x) - shift)
    scale = from_words(words(jnp.float32(-4.0)) - shift)
    rest = rest + (-0.25 * scale - 1.0)
    value = _log1p_series(rest, wide)
    value = shift.astype(jnp.float32) * jnp.float32(0.693147182 * 2.0**-23) + value
    value = jnp.where(more == 0, -jnp.inf, jnp.where(jnp.isposinf(more), jnp.inf, value))
    return jnp.where(more >= 0, value, jnp.nan)


def _log1p_series(rest: Any, wide: bool) -> Any:
    if wide:
        series = polynomial(
            rest, -0.5, _hex("0x1.555572p-2"), _hex("-0x1.00001ap-2"), _hex("0x1.998p-3"), _hex("-0x1.55p-3"),
            _hex("0x1.274p-3"), _hex("-0x1.0c4p-3"), _hex("0x1.b84p-4"), _hex("-0x1.92cp-5"),
        )  # fmt: skip
    else:
        series = polynomial(rest, _hex("-0x1.008p-1"), _hex("0x1.744p-2"), -0.25)
    return series * (rest * rest) + rest


def sin(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_trigonometry.h`: beyond about 1e5 the reduction has no bits left, and what comes out is no sine."""
    whole = _kept(x * jnp.float32(0.31830987334251404) + _INTEGERS)
    odd = words(whole) << 31
    whole = whole - _INTEGERS
    return _sine_of(x, whole, odd, 1.0, wide)


def cos(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_trigonometry.h`."""
    whole = _kept(x * jnp.float32(0.31830987334251404) + 0.5) + _INTEGERS
    whole = _kept(whole)
    odd = words(whole) << 31
    whole = (whole - _INTEGERS) * 2.0 - 1.0
    return _sine_of(x, whole, odd, 0.5, wide)


def _sine_of(x: Any, whole: Any, odd: Any, unit: float, wide: bool) -> Any:
    """Sine of ``x - whole * unit * pi``, with the sign `odd`."""
    rest = x
    for part in ("-0x1.92p+1", "-0x1.fbp-11", "-0x1.51p-21", "-0x1.0b4612p-33"):
        rest = rest + whole * jnp.float32(_hex(part) * unit)
    square = rest * rest
    rest = from_words(words(rest) ^ odd)
    if wide:
        series = polynomial(
            square, _hex("-0x1.55554cp-3"), _hex("0x1.110edap-7"), _hex("-0x1.9f70fp-13"), _hex("0x1.5dc908p-19")
        )
    else:
        series = polynomial(square, _hex("-0x1.5554a4p-3"), _hex("0x1.10c2a2p-7"), _hex("-0x1.8b10a4p-13"))
    return series * (rest * square) + rest


def sqrt(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_sqrt.h`."""
    _, product, rest = _inverse_root(x)
    value = rest * (0.5 * product) + product
    value = jnp.where(jnp.isposinf(x), x, value)
    return jnp.where((words(x) << 1) == 0, x, jnp.where(words(x) < 0, jnp.nan, value))


def rsqrt(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_rsqrt.h`."""
    estimate, _, rest = _inverse_root(x)
    value = rest * (0.5 * estimate) + estimate
    value = jnp.where(words(x) < 0, jnp.nan, value)
    return jnp.where((words(x) << 1) == 0, jnp.copysign(jnp.inf, x), jnp.where(jnp.isposinf(x), 0.0, value))


def _inverse_root(x: Any) -> tuple[Any, Any, Any]:
    """An estimate y of 1 / sqrt(x), x * y, and 1 - x * y * y."""
    y = from_words(jnp.int32(0x5F1110A0) - ((words(x) >> 1) & 0x7FFFFFFF))
    x = formats.flush(x)
    c = -y * (x * y)
    y = y * (jnp.float32(2.2825186) + c * (jnp.float32(2.2533049) + c))
    product = x * y
    return y, product, 1.0 + -y * product


def reciprocal_estimate(x: Any) -> Any:
    """SFPARECIP: 1 / x in 7 bits of mantissa, that of the middle of the numbers that begin with the same 7 bits."""
    magnitude = words(x) & 0x7FFFFFFF
    odd = 2 * ((magnitude >> 16) & 0x7F) + 257
    mantissa = (131072 + odd) // (2 * odd) - 128
    value = from_words(((253 - (magnitude >> 23)) << 23) | (mantissa << 16))
    value = jnp.where(magnitude < _EXPONENT_UNIT, jnp.inf, jnp.where(magnitude < 0x7E800000, value, 0.0))
    return jnp.copysign(value, x)


def inverse(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_recip.h`: an estimate, and two Newton steps for 32 bits, one for 16."""
    y = first = reciprocal_estimate(x)
    error = x * y - 2.0
    usual = error < 0
    y = y * -error
    if wide:
        y = y * -(x * y - 2.0)
    return jnp.where(usual, y, first)


def reciprocal(x: Any, wide: bool) -> Any:
    """`ckernel_sfpu_recip.h`: within one unit of the last place of 1 / x in both forms."""
    return 1 / x


def power(base: Any, exponent: Any, wide: bool) -> Any:
    """`ckernel_sfpu_binary_pow.h`: exp2 of exponent times log2 of the base, in 32 bits with a low part beside it."""
    magnitude = jnp.abs(base)
    mantissa = from_words((words(magnitude) & 0x7FFFFF) | 0x3F800000)
    count = (words(magnitude) >> 23) - 127
    if wide:
        value = _power_wide(mantissa, count, exponent)
    else:
        series = polynomial(mantissa, *map(_hex, ("-0x1.952992p+0", "0x2.4f5388p+0", "-0xd.e712ap-4", "0x2.44734p-4")))
        logarithm = series * jnp.float32(1.4426950408889634) + count.astype(jnp.float32)
        value = _exp2_power(jnp.maximum(exponent * logarithm, -127.0))
    whole = jnp.round(exponent)
    odd = jnp.mod(jnp.abs(whole), 2) == 1
    value = jnp.where(base < 0, jnp.where(whole == exponent, jnp.where(odd, -value, value), jnp.nan), value)
    at_zero = jnp.where(exponent > 0, 0.0, jnp.inf if wide else jnp.nan)
    value = jnp.where((magnitude == 0) & (exponent != 0), at_zero, value)
    return jnp.where(jnp.isnan(base) | jnp.isnan(exponent), jnp.nan, value)


def _exp2_power(position: Any) -> Any:
    """``2^position``: Moroz et al. (2022), section 5, with its factored parabola."""
    whole = jnp.clip((position + 127.0) * jnp.float32(2.0**23), 0, 2.0**31 - 256).astype(jnp.int32)
    rest = whole & 0x7FFFFF
    first = jnp.float32(0.40196114e-7) * (rest + 0xF94EE7).astype(jnp.float32)
    mantissa = (first * (rest + 0x560E).astype(jnp.float32)).astype(jnp.int32)
    return jnp.where(position >= 128, jnp.inf, from_words((mantissa & 0x7FFFFF) | (whole & 0x7F800000)))


def _power_wide(mantissa: Any, count: Any, exponent: Any) -> Any:
    high = mantissa >= jnp.float32(1.4142135381698608)
    mantissa = jnp.where(high, mantissa * 0.5, mantissa)
    count = (count + high.astype(jnp.int32)).astype(jnp.float32)
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    series = polynomial(ratio * ratio, 1.0, 1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11)
    logarithm = 2.0 * (ratio * series)
    wide_product = exponent * jnp.float32(4097.0)
    upper = _kept(wide_product - _kept(wide_product - exponent))
    first = _kept(upper * count)
    second = (exponent - upper) * count + exponent * (logarithm * jnp.float32(1.4426950408889634))
    total = _kept(first + second)
    lost = second - (total - first)
    low = total < -127.0
    total, lost = jnp.where(low, -127.0, total), jnp.where(low, 0.0, lost)
    whole, steps = rounded(total)
    return scaled(_exp_wide(((total - whole) + lost) * jnp.float32(LN2)), steps)


FUNCTIONS: dict[str, Callable[[Any, bool], Any]] = {
    "exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "sin": sin, "cos": cos, "sqrt": sqrt, "rsqrt": rsqrt,
    "reciprocal": reciprocal,
}  # fmt: skip
"""By TTNN's name; `activations.FUNCTIONS` has the rest."""

_NAN_BECOMES = {"tanh": 1.0, "erf": 1.0, "reciprocal": 0.0, "neg": -jnp.inf}
_NAN_BECOMES_ON = {
    "blackhole": {"sigmoid": 0.0},
    "wormhole": {"sigmoid": 1.0, "rsqrt": -jnp.inf, "sin": -jnp.inf, "cos": -jnp.inf},
}
_NEGATIVE_INFINITY_BECOMES_ON = {
    "blackhole": {"silu": jnp.inf},
    "wormhole": {"silu": -jnp.inf, "sin": -jnp.inf, "cos": -jnp.inf},
}


def narrow(name: str, arch: str, x: Any, value: Any) -> Any:
    """`value` of function `name` at `x`, as a 16-bit destination register and the packer leave it: bfloat16 without
    NaN, as measured."""
    value = jnp.where(jnp.isnan(value), jnp.inf, value)
    becomes = _NAN_BECOMES_ON[arch].get(name, _NAN_BECOMES.get(name, jnp.inf))
    value = jnp.where(jnp.isnan(x), becomes, value)
    if (low := _NEGATIVE_INFINITY_BECOMES_ON[arch].get(name)) is not None:
        value = jnp.where(jnp.isneginf(x), low, value)
    # erf's kernel leaves the rounding to the store, which cuts off.
    return formats.flush(formats.truncate(value, 7) if name == "erf" else formats.bf16(value))
