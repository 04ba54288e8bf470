"""`test_convert`, `test_data_types` and `test_scalar_types`: which type becomes which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from benchmarks.programs import Argument, f32
from benchmarks.recorded_outcomes.case import COMPILE, NUMBERS, PASSES, RUNTIME, SKIPPED, Case, case

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSIGNED = ("uint16", "uint32", "uint64")
SIGNED = ("int16", "int32", "int64")
FLOATS = ("float32", "float64", "bfloat16")
CONVERTED = (*UNSIGNED, *SIGNED, *FLOATS)
NOT_CONVERTED = ("uint8", "int8", "float16", "bool")
STORED = ("uint8", *UNSIGNED, "int8", *SIGNED, *FLOATS, "bool")

HOST_STORAGE = "host storage (tt-xla 171)"


def converted(before: str, after: str) -> tuple[str, str]:
    """What is recorded of a conversion, and why."""
    small = ("uint16", "int16")
    if before == after or (before, after) == ("uint32", "uint64"):
        return NUMBERS, "no op: freed input (tt-xla 248)"
    if (
        (before in ("uint32", "float32", "bfloat16") and after in small)
        or (before, after) in (("float64", "uint16"), ("uint32", "bfloat16"))
        or (before == "uint16" and after in ("int32", "int64"))
    ):
        return NUMBERS, "numbers"
    if before in ("uint64", "float64", *SIGNED) and after in (*SIGNED, *UNSIGNED, *FLOATS):
        return RUNTIME, HOST_STORAGE
    if after == "float64":
        return COMPILE, "size of buffers (tt-xla 170)"
    return PASSES, ""


def conversions() -> Iterator[Case]:
    """Each type to each, of an array of 32x32."""
    for before in CONVERTED:
        for after in CONVERTED:
            recorded, reason = converted(before, after)
            yield _convert(before, after, recorded, reason)
    for name in NOT_CONVERTED:
        yield _convert(name, "float32", SKIPPED, "type")
        yield _convert("float32", name, SKIPPED, "type")


def _convert(before: str, after: str, recorded: str, reason: str) -> Case:
    return case(
        f"convert[{before}-{after}]",
        lambda x, dtype=after: lax.convert_element_type(x, dtype),
        Argument((32, 32), before),
        recorded=recorded,
        reason=reason,
        x64=True,
    )


def scalars() -> Iterator[Case]:
    """0-d arrays."""
    for name in STORED:
        yield case(f"dtypes[{name}]", lambda x: x, Argument((), name), x64=True)
    yield case("dtypes[float16]", lambda x: x, Argument((), "float16"), recorded=SKIPPED, reason="type", x64=True)
    yield case("scalar_scalar_add", lambda: jnp.float32(1) + jnp.float32(2))
    yield case("scalar_array_add", lambda: jnp.ones((32, 32)) + 2.0)
    yield case("ranks_unary[()]", lambda x: -x, f32(), recorded=COMPILE, reason="0-d argument (tt-xla 173)")
    yield case(
        "ranks_binary[()]", lambda x, y: x + y, f32(), f32(), recorded=COMPILE, reason="0-d argument (tt-xla 173)"
    )


CASES = (*conversions(), *scalars())
