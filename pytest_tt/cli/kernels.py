"""`pytest-tt kernels`: a compiled function run through TT's real kernels on a simulated chip."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.cli.command import Command, UnusableError
from pytest_tt.cli.function import function_of, parsed, place
from pytest_tt.cli.shape import ArgumentShape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from jax.sharding import Mesh

PYTHON = "PYTEST_TT_KERNELS_PYTHON"
DEFAULT_LIMIT_S = 600.0
_HEADER = ("output", "shape", "kernels", "emulated", "apart")
_RIGHT = (2, 3, 4)
_RULE = (
    "FUNCTION is called as by `pytest-tt compile`; an argument that is only a shape gets random numbers, always the "
    "same. The table has the relative L2 distance from float32 on this machine's CPU, of what the kernels give and of "
    "what is emulated, and how far these are apart. The kernels run on one core of one chip, as the simulator computes "
    "it; nothing here was measured on a card."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.epilog = _RULE
    parser.add_argument("function", type=place, metavar="FILE.py:FUNCTION", help="Function in a Python file")
    parser.add_argument(
        "shapes", nargs="*", type=parsed(ArgumentShape.parse), metavar="SHAPE",
        help="Shape of each argument, e.g. f32[8,128] (default: FUNCTION returns the arguments too)",
    )  # fmt: skip
    parser.add_argument(
        "--python", type=Path, default=os.environ.get(PYTHON), metavar="PATH",
        help=f"Interpreter with ttnn, and wolfpine unless TT_METAL_SIMULATOR is set (default: {PYTHON})",
    )  # fmt: skip
    parser.add_argument(
        "--system", type=parsed(_system), default="p150", metavar="NAME",
        help="System to compile for (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=DEFAULT_LIMIT_S, metavar="SECONDS",
        help="For running the program (default: %(default)g)",
    )  # fmt: skip


def _system(text: str) -> str:
    from pytest_tt.targets.systems import get_system

    return get_system(text).name


def run(arguments: argparse.Namespace) -> int:
    """Print how far each output is from float32. Returns 0, or 1 for a program that is refused or does not run."""
    from pytest_tt.compiler.card_compiler import DEFAULT_LIMIT_S, CardCompiler
    from pytest_tt.emulator.errors import EmulationError
    from pytest_tt.kernels import installation
    from pytest_tt.kernels.program import KernelsError
    from pytest_tt.standalone import open_chips
    from pytest_tt.targets.simulated import SimulatedTarget
    from pytest_tt.targets.systems import SYSTEMS
    from pytest_tt.targets.target import ChipsError
    from pytest_tt.tt_compiler.build import CompilerMissing
    from pytest_tt.tt_compiler.errors import TTCompileError

    if arguments.python is None:
        raise UnusableError(f"--python: expected an interpreter with ttnn, or {PYTHON}: {installation.INSTALL}")
    cache = _cache()
    try:
        compiler = CardCompiler.installed(DEFAULT_LIMIT_S, None)
        found = installation.find(arguments.python.absolute(), SYSTEMS[arguments.system].arch, cache, compiler.build)
        mesh = open_chips("1x1", backend=SimulatedTarget.name).mesh
    except (ValueError, ChipsError, CompilerMissing, installation.KernelsMissing) as error:
        raise UnusableError(error) from None
    path, name = arguments.function
    function, given = function_of(path, name, mesh, arguments.shapes)
    try:
        rows = _run(compiler, found, cache, function, _filled(given), mesh, arguments)
    except (TTCompileError, EmulationError, KernelsError) as error:
        print(error)
        return 1
    from pytest_tt.text import table

    print(f"{_name(function)}, compiled by {compiler.build} for {arguments.system}, run with {found.simulator}")
    print(table([_HEADER, *rows], right=_RIGHT))
    return 0


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "pytest-tt", "kernels")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _filled(given: Sequence[Any]) -> tuple[Any, ...]:
    """`given` with numbers in place of what is only a shape: normal ones, whole ones from 0 to 9."""
    import jax
    import numpy as np

    numbers = np.random.default_rng(0)

    def filled(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return np.asarray(leaf)
        if np.issubdtype(leaf.dtype, np.integer):
            return numbers.integers(0, 10, leaf.shape).astype(leaf.dtype)
        return numbers.standard_normal(leaf.shape).astype(leaf.dtype)

    return tuple(jax.tree.map(filled, tuple(given)))


def _run(
    compiler: Any,
    found: Any,
    cache: Path,
    function: Callable[..., Any],
    given: tuple[Any, ...],
    mesh: Mesh,
    arguments: argparse.Namespace,
) -> list[tuple[str, ...]]:
    """A row of the table for each output."""
    import jax
    import numpy as np

    from pytest_tt.compare import flatten
    from pytest_tt.compare.metrics import measure
    from pytest_tt.compiler.card_compiler import lowered
    from pytest_tt.emulator.numerics import chip
    from pytest_tt.emulator.run import Emulator
    from pytest_tt.kernels.run import run as run_kernels
    from pytest_tt.targets.systems import SYSTEMS

    name = _name(function)
    low = lowered(function, given, {}, mesh, name)
    program = compiler.compile(lambda: low, system=arguments.system, name=name, options={})
    leaves = jax.tree.leaves(given)
    emulated = Emulator.of(program, low, mesh, chip(SYSTEMS[arguments.system].arch))(*leaves)
    inputs = [leaves[number] for number in low.kept]
    computed = run_kernels(program, inputs, found, cache=cache / "compiled", limit_s=arguments.timeout)
    with jax.default_device(jax.devices("cpu")[0]):
        expected = flatten(jax.jit(function)(*given))
    rows = []
    for (path, exact), kernels, predicted in zip(expected.items(), computed, emulated, strict=True):
        wanted, actual, foreseen = np.asarray(exact), kernels.reshape(exact.shape), np.asarray(predicted)
        pairs = ((actual, wanted), (foreseen, wanted), (foreseen, actual))
        far = (f"{measure(one, other).rel_l2:.1e}" for one, other in pairs)
        rows.append((path, f"{wanted.dtype}[{','.join(map(str, wanted.shape))}]", *far))
    return rows


COMMAND = Command(
    name="kernels",
    help="Run a compiled function through TT's real kernels on a simulated chip, where ttnn and a simulator are",
    arguments=add_arguments,
    run=run,
)
