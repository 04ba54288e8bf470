"""How far each small golden's program, as TT's compiler made it, is from the simulation and from its golden.

Run as ``python -m benchmarks.emulated_goldens [--only TEXT] [--mesh ROWSxCOLS …] [--exact] [--keep DIR]``; needs the
extras ``zoo`` and ``compiler``. For each mesh of a golden: rel L2 to the simulation, executed without rounding, then
the PCC with the golden, executed with the chip's numbers. What is farther from the simulation than rel L2 1e-4 is
named, with the reason that the emulator knows (docs/emulation.md has them); without one, or for a program that is
refused, the command fails.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import pytest_tt
from pytest_tt.compare import compare
from pytest_tt.compiler.discrepancy import EXACT_REL_L2, GELU_REL_L2, ROUNDED_REL_L2, Discrepancy, exact_bound
from pytest_tt.compiler.simulation import Simulation
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.exports import Exports
from pytest_tt.emulator.numerics import EXACT, chip
from pytest_tt.emulator.run import Emulator
from pytest_tt.golden import load
from pytest_tt.targets.systems import get_system
from pytest_tt.text import table
from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import lower
from pytest_tt.tt_compiler.store import Store
from zoo import registry
from zoo.checkpoints.placement import place_params
from zoo.programs import jitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.registry import Model

USUAL = {"1x1": "p150", "1x2": "n300", "1x8": "t3k", "2x4": "t3k"}
PLACES = {**USUAL, "1x4": "t3k", "1x16": "galaxy", "1x32": "galaxy", "8x4": "galaxy"}
"""Whose chips are emulated on each mesh."""
SMALL = "tiny"
"""In the names of a model's small goldens, if it has others."""
REASONS = {
    EXACT_REL_L2: None,
    GELU_REL_L2: "one GELU in the place of the other",
    ROUNDED_REL_L2: "the simulation rounds to bfloat16 after each op",
}
"""Why the bound of a program without rounding is wider than usual, by the bound."""


@dataclass(frozen=True, slots=True)
class Found:
    """One golden on one mesh. pcc: with the golden, of the worst output; None where it was not asked."""

    golden: str
    mesh: str
    exact: float
    bound: float
    pcc: float | None

    @property
    def excused(self) -> str | None:
        """Why it may be farther than usual from the simulation; None if nothing is known."""
        return REASONS[self.bound] if self.exact <= self.bound else None

    def __str__(self) -> str:
        text = f"{self.exact:.1e}"
        return text if self.pcc is None else f"{text}  {self.pcc:.6f}"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where compiled and lowered programs are kept; nowhere, if None."""

    directory: Path | None

    @property
    def store(self) -> Store | None:
        """What TT's compiler made."""
        return None if self.directory is None else Store(self.directory / "card")

    @property
    def exports(self) -> Exports | None:
        """What jax lowered."""
        return None if self.directory is None else Exports(self.directory / "emulated")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="only goldens whose name, MODEL:CASE, contains this text")
    parser.add_argument(
        "--mesh", nargs="+", choices=PLACES, default=list(USUAL), help=f"default: {' '.join(USUAL)}",
    )  # fmt: skip
    parser.add_argument("--exact", action="store_true", help="without the chip's numbers, which XLA takes long for")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where to keep compiled programs between runs")
    options = parser.parse_args()
    if options.keep is not None:
        jax.config.update("jax_compilation_cache_dir", str(options.keep))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    names = [(name, case) for name in registry.names() for case in small(registry.model(name))]
    cases = [(name, case) for name, case in names if options.only in f"{name}:{case}"]
    if not cases:
        parser.error(f"no golden contains {options.only!r}: expected part of one of {', '.join(map(':'.join, names))}")
    cells: dict[tuple[str, str], Found] = {}
    refused = []
    for name, case in cases:
        for mesh in options.mesh:
            model = registry.model(name)
            meshes = model.goldens[case].meshes
            if mesh in (model.sharding.meshes if meshes is None else meshes):
                try:
                    one = found(model, case, mesh, Kept(options.keep), rounded=not options.exact)
                except (TTCompileError, EmulationError) as error:
                    refused.append(f"{name}:{case} on {mesh}: {' '.join(str(error).split())}")
                    continue
                cells[one.golden, mesh] = one
                print(end=".", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"jax {jax.__version__}; rel L2 without rounding{'' if options.exact else ', PCC with the chip numbers'}\n")
    header = ("golden", *(f"{PLACES[mesh]} {mesh}" for mesh in options.mesh))
    shown = [[str(cells.get((golden, mesh), "-")) for mesh in options.mesh] for golden in map(":".join, cases)]
    print(table([header, *((":".join(case), *row) for case, row in zip(cases, shown, strict=True))]))
    far = [one for one in cells.values() if one.exact > EXACT_REL_L2]
    for one in far:
        print(f"{one.golden} on {one.mesh}: {one.exact:.1e}: {one.excused or 'NOT EXPLAINED'}")
    print(*refused, sep="\n", end="")
    sys.exit(bool(refused) or any(one.excused is None for one in far))


def small(model: Model) -> Sequence[str]:
    """The small golden cases of a model that are compared on meshes: all, if none is called so."""
    cases = [case for case, golden in model.goldens.items() if golden.meshes != ()]
    return [case for case in cases if SMALL in case] or cases


def found(model: Model, case: str, mesh: str, kept: Kept, *, rounded: bool) -> Found:
    """What comes of a golden case on `mesh`; `rounded`: also with the chip's numbers."""
    chips = pytest_tt.open_chips(mesh, backend="sim").mesh
    config = model.config_of(case)
    fitted = model.sharding.fit(config, chips)
    golden = load(model.golden_path(case))
    function = jitted(model, fitted, chips, model.goldens[case].forward)
    given = (
        place_params(model, config, chips, model.weights_of(case)),
        {name: np.asarray(value) for name, value in golden.inputs.items()},
    )
    lowered = lower(function, given, {})
    card = compile_program(lowered, system=PLACES[mesh], store=kept.store)
    emulator = Emulator.of(card, lowered, chips, EXACT, kept.exports)
    leaves = jax.tree.leaves(given)
    expected = function(*given)
    exact = Discrepancy.of(emulator(*leaves), jax.tree.leaves(expected))
    traced = function.trace(*given)
    bound = exact_bound(card, Simulation(traced.jaxpr, traced.lower(), chips))
    pcc = _pcc(model, case, emulator, leaves, expected, golden) if rounded else None
    return Found(f"{model.name}:{case}", mesh, exact.rel_l2, bound, pcc)


def _pcc(model: Model, case: str, exact: Emulator, leaves: Sequence[Any], expected: Any, golden: Any) -> float:
    """Of the program of `exact` with the chip's numbers, and the golden; `expected` has the names of the results."""
    arch = get_system(exact.program.system).arch
    results = map(np.asarray, exact.by(chip(arch))(*leaves))
    outputs = jax.tree.unflatten(jax.tree.structure(expected), results)
    # The name of the backend chooses bounds, which are not asked.
    metrics = compare(model.selected(case, outputs), golden.outputs, backend="hw").metrics()
    return float(metrics["pcc"])  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
