"""How long emulated chips take, beside simulated ones: each tiny model's forward pass, and BERT-base's.

Run as ``python -m benchmarks.emulator [--only TEXT] [--rounds N] [--system NAME] [--mesh ROWSxCOLS]``; needs the extras
``zoo`` and ``compiler``. All kinds run the same golden case in one process, and take turns; medians are printed. `sim`
is the program as XLA has it, `exact` and `chip` are what TT's compiler makes of it, executed by the emulator without
rounding and with the chip's numbers. First calls are apart: they have TT's compiler and XLA's in them. None of these
are times of a chip.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import pytest_tt
from pytest_tt.emulator.numerics import EXACT, chip
from pytest_tt.emulator.run import Emulator
from pytest_tt.golden import load
from pytest_tt.targets.systems import get_system
from pytest_tt.text import second_text, table
from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.lowering import lower
from zoo import registry
from zoo.checkpoints.placement import place_params
from zoo.parts.sharding import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jax.sharding import Mesh

    from zoo.registry import Model

CASES = (
    "mlp:megatron", "cnn:digits", "resnet:tiny", "gpt2:tiny", "distilbert:tiny", "qwen2_5:tiny-28-4", "bert:tiny",
    "bert:base",
)  # fmt: skip
KINDS = ("sim", "exact", "chip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="only cases whose name contains this text")
    parser.add_argument("--rounds", type=int, default=5, help="calls of each (default: %(default)s)")
    parser.add_argument("--system", default="p150", help="whose chips are emulated (default: %(default)s)")
    parser.add_argument("--mesh", default="1x1", metavar="ROWSxCOLS", help="default: %(default)s")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in case]
    if not cases:
        parser.error(f"no case contains {options.only!r}: expected part of one of {', '.join(CASES)}")
    arch = get_system(options.system).arch
    mesh = pytest_tt.open_chips(options.mesh, backend="sim").mesh
    print(f"{os.cpu_count()} cores, jax {jax.__version__}; {options.system}, mesh {options.mesh}; median of a call\n")
    header = ("golden", *KINDS, "chip of sim", *(f"first {kind}" for kind in KINDS), "exact off by")
    rows = [header]
    for case in cases:
        name, _, golden = case.partition(":")
        rows.append((case, *_row(registry.model(name), golden, mesh, options.system, arch, options.rounds)))
    print(table(rows, right=range(1, len(header))))


def _row(model: Model, case: str, mesh: Mesh, system: str, arch: str, rounds: int) -> Sequence[str]:
    function, given = _forward(model, case, mesh)
    leaves = jax.tree.leaves(given)
    lowered = lower(function, given, {})
    start = time.perf_counter()
    card = compile_program(lowered, system=system)
    compiling = time.perf_counter() - start
    calls: dict[str, Callable[[], Any]] = {
        "sim": lambda: function(*given),
        "exact": _call(Emulator.of(card, lowered, mesh, EXACT), leaves),
        "chip": _call(Emulator.of(card, lowered, mesh, chip(arch)), leaves),
    }
    first, results = {}, {}
    for kind, call in calls.items():
        start = time.perf_counter()
        results[kind] = jax.block_until_ready(call())
        first[kind] = time.perf_counter() - start + (0 if kind == "sim" else compiling)
    times: dict[str, list[float]] = {kind: [] for kind in calls}
    for _ in range(rounds):
        for kind, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[kind].append(time.perf_counter() - start)
    middle = {kind: median(values) for kind, values in times.items()}
    exact, expected = (
        np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(results[kind])])
        for kind in ("exact", "sim")
    )
    distance = np.linalg.norm(exact - expected) / np.linalg.norm(expected)
    return (
        *(second_text(middle[kind]) for kind in KINDS),
        f"{middle['chip'] / middle['sim']:.1f}",
        *(second_text(first[kind]) for kind in KINDS),
        f"{distance:.0e}",
    )


def _call(emulator: Emulator, leaves: Sequence[Any]) -> Callable[[], Any]:
    return lambda: emulator(*leaves)


def _forward(model: Model, case: str, mesh: Mesh) -> tuple[Any, tuple[Any, ...]]:
    """The jitted forward pass, and its arguments on the chips."""
    sharding, config = model.sharding, model.config_of(case)
    fitted = sharding.fit(config, mesh)
    inputs = bound(dict(sharding.input_specs(fitted, mesh)), mesh)
    function = jax.jit(
        model.architecture.forward(model.architecture.build(fitted)),
        in_shardings=(bound(sharding.param_specs(fitted, mesh), mesh), inputs),
        out_shardings=bound(dict(sharding.output_specs(fitted, mesh)), mesh),
    )
    params = place_params(model, config, mesh, model.weights_of(case))
    return function, (params, jax.device_put(dict(load(model.golden_path(case)).inputs), inputs))


if __name__ == "__main__":
    main()
