"""The second verdict: what Tenstorrent's own tt-mlir does not lower, found in the StableHLO text of a program.

jax-tt-plugin is a patched build that takes more than upstream. Its refusals hold there too; its acceptances may not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_tt.tt_compiler.hints import hint_for
from pytest_tt.tt_compiler.locations import Location
from pytest_tt.tt_compiler.stablehlo_text import StableHLOText

if TYPE_CHECKING:
    from collections.abc import Sequence

# What the lists below were read from: ops of StableHLO's 117 without a pattern in
# lib/Conversion/StableHLOToTTIR/StableHLOToTTIRPatterns.cpp; CPUHoistNonLowerableSHLOOps.cpp for those on the host.
SOURCE = "tt-mlir 19c86fca"
DATE = "2026-08-21"

_NO_LOWERING = frozenset(
    [
        "after_all", "async_start", "async_done", "case", "cholesky", "collective_reduce", "count_leading_zeros",
        "create_token", "cross-replica-sum", "dynamic_broadcast_in_dim", "dynamic_conv", "dynamic_gather",
        "dynamic_pad", "dynamic_reshape", "fft", "if", "infeed", "map", "outfeed", "partition_id", "popcnt",
        "real_dynamic_slice", "recv", "reduce_precision", "replica_id", "round_nearest_even", "send",
        "set_dimension_size", "shift_right_arithmetic", "torch_index_select", "triangular_solve", "unary_einsum",
        "while",
    ]
)  # fmt: skip
_ON_THE_HOST = frozenset(["dynamic_update_slice", "einsum"])
# Lowered, but with a seed and a state of the chip's own.
_IGNORES_ITS_STATE = frozenset(["rng", "rng_bit_generator"])
REFUSED_OPS = _NO_LOWERING | _ON_THE_HOST | _IGNORES_ITS_STATE

# float64 is narrowed without a word; float16 and float8 have no home on the chip. 64-bit integers are narrowed too,
# but the text is full of them: attributes such as a convolution's padding have that type.
REFUSED_TYPES = re.compile(r"tensor<(?:\d+x)*(f64|f16|f8\w+|complex<\w+>)>")

_OP = re.compile(r"\bstablehlo\.([a-z_\-]+)")
_MAIN = re.compile(r"func\.func public @main\((.*?)\) -> ", re.DOTALL)
_CONSTANT = re.compile(r"(%\w+) = stablehlo\.constant\b")
_CASE = re.compile(r'(%\w+)(?::\d+)? = "stablehlo\.case"\((%\w+)\)')
_RETURN = re.compile(r"stablehlo\.return (%\w+)")
_SCALAR = re.compile(r"%\w+: tensor<[a-z]\w*>")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a program that upstream does not take as jax means it.

    `name` is an op of StableHLO, ``type f64``, or ``scalar argument``. `location` has no lines if the text was printed
    without locations.
    """

    name: str
    reason: str
    location: Location

    @property
    def hint(self) -> str | None:
        """What to write instead; None if nothing is known."""
        return hint_for(self.name, self.reason, self.location.name)

    def __str__(self) -> str:
        place = self.location.place
        return f"{self.name}{'' if place is None else f' at {place}'}: {self.reason}"


@lru_cache(maxsize=1)  # a program is compiled for one system after the other
def verdict(stablehlo: str) -> tuple[Finding, ...]:
    """All that upstream does not take in the module text `stablehlo`, each op and place once, in the text's order.

    Print the text with locations for file and line: ``lowered.as_text(debug_info=True)``. Raises ValueError if the text
    holds no ``main``: then it is not a lowered jit at all.
    """
    main = _MAIN.search(stablehlo)
    if main is None:
        raise ValueError("no 'func.func public @main' in the text: pass what jax.jit(f).lower(...).as_text() gives")
    text = StableHLOText(stablehlo)
    found: dict[tuple[str, str | None], Finding] = {}
    chosen = _chosen_ahead(text.lines)
    for number, line in enumerate(text.lines):
        if line.startswith("#") or line.lstrip().startswith("return") or number in chosen:
            continue
        for name in _refused_in(line):
            location = text.location(number)
            found.setdefault((name, location.place), Finding(name, _reason(name), location))
    if _SCALAR.search(main.group(1)):
        name = "scalar argument"
        found[name, None] = Finding(name, _reason(name), Location("", ()))
    placed = {name for name, place in found if place is not None}
    return tuple(finding for (name, place), finding in found.items() if place is not None or name not in placed)


def refused(stablehlo: str) -> tuple[str, ...]:
    """The names of `verdict`, each once, sorted; empty if upstream takes all."""
    return tuple(sorted({finding.name for finding in verdict(stablehlo)}))


def _chosen_ahead(lines: Sequence[str]) -> set[int]:
    """The lines of each `case` whose branch is a constant: StableHLO's simplification, which upstream runs first, puts
    the branch in its place. jax makes such of `lax.platform_dependent`."""
    found: set[int] = set()
    constants: set[str] = set()
    for number, line in enumerate(lines):
        if "func.func" in line:
            constants.clear()
        if constant := _CONSTANT.search(line):
            constants.add(constant[1])
        elif (case := _CASE.search(line)) and case[2] in constants:
            found.add(number)
            end = " " * (len(line) - len(line.lstrip())) + "})"
            until = next((at for at in range(number, len(lines)) if lines[at].startswith(end)), len(lines))
            body = lines[number + 1 : until]
            within = {constant[1] for inner in body if (constant := _CONSTANT.search(inner))}
            if all(given[1] in within for inner in body if (given := _RETURN.search(inner))):
                constants.add(case[1])
    return found


def _refused_in(line: str) -> list[str]:
    names = [name for name in _OP.findall(line) if name in REFUSED_OPS]
    return [*names, *(f"type {match}" for match in REFUSED_TYPES.findall(line))]


def _reason(name: str) -> str:
    if name in _NO_LOWERING:
        return f"{SOURCE} ({DATE}) has no lowering for it"
    if name in _ON_THE_HOST:
        return f"{SOURCE} ({DATE}) runs it on the host"
    if name in _IGNORES_ITS_STATE:
        return f"{SOURCE} ({DATE}) ignores its state: the chip's numbers are its own"
    if name == "scalar argument":
        return "a 0-d argument of the jitted function fails in Tenstorrent's plugin (tt-xla issue 173)"
    return f"{SOURCE} ({DATE}) narrows or refuses this type"
