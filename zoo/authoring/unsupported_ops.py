"""What the TT compiler cannot take, found in the StableHLO text of a program before any chip sees it."""

from __future__ import annotations

import re

# Ops of StableHLO without a lowering in tt-mlir's StableHLOToTTIRPatterns.cpp (commit 19c86fca, 2026-08-21), and
# those that lower but must not be relied on: dynamic_update_slice runs on the host, rng ignores its state.
REFUSED_OPS = frozenset(
    [
        "after_all",
        "async_start",
        "async_done",
        "case",
        "cholesky",
        "collective_reduce",
        "count_leading_zeros",
        "create_token",
        "cross-replica-sum",
        "dynamic_broadcast_in_dim",
        "dynamic_conv",
        "dynamic_gather",
        "dynamic_pad",
        "dynamic_reshape",
        "fft",
        "if",
        "infeed",
        "map",
        "outfeed",
        "partition_id",
        "popcnt",
        "real_dynamic_slice",
        "recv",
        "reduce_precision",
        "replica_id",
        "round_nearest_even",
        "send",
        "set_dimension_size",
        "shift_right_arithmetic",
        "torch_index_select",
        "triangular_solve",
        "unary_einsum",
        "while",
        "dynamic_update_slice",
        "einsum",
        "rng",
        "rng_bit_generator",
    ]
)

# float64 is narrowed without a word; float16 and float8 have no home on the chip. 64-bit integers are narrowed too,
# but the text is full of them: attributes such as a convolution's padding have that type.
REFUSED_TYPES = re.compile(r"tensor<(?:\d+x)*(f64|f16|f8\w+|complex<\w+>)>")

_OP = re.compile(r"\bstablehlo\.([a-z_\-]+)")
_MAIN = re.compile(r"func\.func public @main\((.*?)\) -> ", re.DOTALL)
_SCALAR = re.compile(r"%\w+: tensor<[a-z]\w*>")


def refused(stablehlo: str) -> tuple[str, ...]:
    """Names of everything in the module text `stablehlo` that the chip's compiler refuses; empty when all is well.

    Ops by name, types as ``type f64``, and ``scalar argument`` for a 0-d argument of ``main``
    (tt-xla issue 173). ValueError if the text holds no ``main``: then it is not a lowered jit at all.
    """
    main = _MAIN.search(stablehlo)
    if main is None:
        raise ValueError("no 'func.func public @main' in the text: pass what jax.jit(f).lower(...).as_text() gives")
    found = set(_OP.findall(stablehlo)) & REFUSED_OPS
    found |= {f"type {match}" for match in REFUSED_TYPES.findall(stablehlo)}
    if _SCALAR.search(main.group(1)):
        found.add("scalar argument")
    return tuple(sorted(found))
