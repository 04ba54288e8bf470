"""Small programs compiled by Tenstorrent's compiler, without a card; nothing is executed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import jax

import pytest_tt
from benchmarks.programs import MOST_CHIPS
from benchmarks.verdicts import Verdict, acceptance, refusal
from pytest_tt.tt_compiler import upstream
from pytest_tt.tt_compiler.build import find_build
from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import lower
from pytest_tt.tt_compiler.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.programs import Program

LIMIT_S = 120.0
"""For one program."""


def compiler() -> str:
    """Name and version of the compiler that is installed. Raises CompilerMissing."""
    build = find_build()
    return f"{build.package} {build.version}"


def verdicts(programs: Iterable[tuple[Program, Sequence[str]]], store: Path | None = None) -> dict[str, Verdict]:
    """The verdict on each program, by name; beside each the names of TTNN ops that are counted in it.

    The process must not have started jax: it gets simulated chips. `store` keeps what was compiled.
    """
    pytest_tt.open_chips(f"1x{MOST_CHIPS}", backend="sim")
    devices = jax.devices("tt")
    kept = None if store is None else Store(store)
    found = {}
    for program, watched in programs:
        found[program.name] = _verdict(program, watched, devices, kept)
        print(end="." if len(found) % 80 else ".\n", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def _verdict(program: Program, watched: Sequence[str], devices: list[jax.Device], store: Store | None) -> Verdict:
    with program.settings():
        function, shapes = program.lowerable(devices)
        try:
            lowered = lower(function, shapes, {})
        except TTCompileError as error:
            return refusal(error)
    names = upstream.refused(lowered.text)
    try:
        card = compile_program(lowered, system=program.system, options={}, limit_s=LIMIT_S, store=store)
    except TTCompileError as error:
        return refusal(error, names)
    return acceptance(card, names, watched, [argument.dtype for argument in program.arguments])
