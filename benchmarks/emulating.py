"""Small programs as TT's compiler made them, executed exactly on simulated chips, against what XLA computes."""

from __future__ import annotations

import re
import sys
import zlib
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import pytest_tt
from benchmarks.emulated import DIFFERS, EQUAL, REFUSED, Emulated
from benchmarks.programs import MOST_CHIPS
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.run import Emulator
from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import lower
from pytest_tt.tt_compiler.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.programs import Argument, Program
    from pytest_tt.tt_compiler.lowering import Lowered

LIMIT_S = 120.0
"""For one program."""
MOST = 1e-4
"""Relative L2 error up to which results are equal: sums are added in other orders."""
MOST_NARROW = 1e-2
"""The same for programs with floats of 16 bits or fewer: XLA rounds to them, exact numerics do not."""
_NARROW = re.compile(r"x(?:bf16|f16|f8E\w+)>|<(?:bf16|f16)>")


def results(programs: Iterable[Program], store: Path | None = None) -> dict[str, Emulated]:
    """What came of each program that the compiler takes, by name; `store` keeps what was compiled.

    The process must not have started jax: it gets simulated chips.
    """
    pytest_tt.open_chips(f"1x{MOST_CHIPS}", backend="sim")
    devices = jax.devices("tt")
    kept = None if store is None else Store(store)
    found = {}
    for program in programs:
        with program.settings():
            if (result := _result(program, devices, kept)) is not None:
                found[program.name] = result
        print(end="." if len(found) % 80 else ".\n", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def _result(program: Program, devices: list[jax.Device], store: Store | None) -> Emulated | None:
    """What came of one program; None if it is not compiled."""
    function, shapes = program.lowerable(devices)
    try:
        lowered = lower(function, shapes)
        card = compile_program(lowered, system=program.system, options={}, limit_s=LIMIT_S, store=store)
    except TTCompileError:
        return None
    mesh = program.on(devices)
    given = placed(program, mesh)
    try:
        emulator = Emulator.of(card, lowered, mesh)
        return compared(emulator, lowered, given, function)
    except EmulationError as error:
        return Emulated(REFUSED, op=error.op.name if error.op else "", reason=error.sentence)


def compared(emulator: Emulator, lowered: Lowered, given: Sequence[jax.Array], function: Any) -> Emulated:
    """What `emulator` gives for `given`, against `function`, of which `lowered` is made. Raises EmulationError."""
    found = emulator(*given)
    expected = jax.tree.leaves(function(*given))
    worst = max((_error(x, y) for x, y in zip(found, expected, strict=True)), default=0.0)
    most = MOST_NARROW if _NARROW.search(lowered.text) else MOST
    return Emulated(EQUAL if worst <= most else DIFFERS, rel_l2=None if worst <= most else float(f"{worst:.1e}"))


def placed(program: Program, mesh: Mesh) -> list[jax.Array]:
    """Arguments for `program`, the same in each run, on `mesh` as it spreads them.

    Floats are of a normal distribution, unsigned integers of 32 bits and more of all their values, other integers from
    1 to 7: places that are there in all arrays.
    """
    draws = np.random.default_rng(zlib.crc32(program.name.encode()))
    return [
        jax.device_put(_drawn(argument, draws), NamedSharding(mesh, PartitionSpec(*argument.spec)))
        for argument in program.arguments
    ]


def _drawn(argument: Argument, draws: np.random.Generator) -> np.ndarray[Any, Any]:
    dtype = jax.numpy.dtype(argument.dtype)
    if dtype == np.bool_:
        return draws.integers(0, 2, argument.shape).astype(bool)
    if dtype in (np.uint32, np.uint64):
        return draws.integers(0, np.iinfo(dtype).max, argument.shape, dtype, endpoint=True)
    if jax.numpy.issubdtype(dtype, np.integer):
        return draws.integers(1, 8, argument.shape).astype(dtype)
    values = draws.standard_normal(argument.shape)
    if jax.numpy.issubdtype(dtype, np.complexfloating):
        values = values + 1j * draws.standard_normal(argument.shape)
    return np.asarray(values, dtype)


def _error(found: Any, expected: Any) -> float:
    """Relative L2 error; of what is not a float the part of the elements that differ, and so where one of them alone is
    not finite."""
    if jax.numpy.issubdtype(expected.dtype, jax.dtypes.prng_key):
        found, expected = jax.random.key_data(found), jax.random.key_data(expected)
    if found.shape != expected.shape:
        return float("inf")
    floats = jax.numpy.issubdtype(expected.dtype, np.inexact)
    kind = np.complex128 if jax.numpy.issubdtype(expected.dtype, np.complexfloating) else np.float64
    x, y = (np.asarray(array).astype(kind) if floats else np.asarray(array) for array in (found, expected))
    if not x.size:
        return 0.0
    if not floats:
        return float((x != y).mean())
    same = np.isfinite(x) & np.isfinite(y)
    apart = ~same & ~((x == y) | (np.isnan(x) & np.isnan(y)))
    if apart.any():
        return float(max(1.0, apart.mean()))
    size = float(np.linalg.norm(y[same]))
    return float(np.linalg.norm((x - y)[same])) / size if size else float((x[same] != 0).any())
