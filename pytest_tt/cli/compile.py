"""`pytest-tt compile`: what TT's compiler makes of a function, without a card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.cli.command import Command, UnusableError
from pytest_tt.cli.function import function_of, parsed, place
from pytest_tt.cli.shape import ArgumentShape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from jax.sharding import Mesh

    from pytest_tt.compiler.card_compiler import CardCompiler
    from pytest_tt.targets.mesh import MeshShape
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.errors import TTCompileError

_HEADER = ("system", "mesh", "compiles", "fits", "ops", "on the host", "collectives", "peak DRAM", "at best")
_RIGHT = (4, 5, 7, 8)
_RULE = (
    "FUNCTION with SHAPEs is called with arrays of these shapes: f32[8,128] is replicated, f32[8,128]:batch,None is "
    "split over the mesh axis batch, batch+model over both. Without any, FUNCTION is called and returns what to "
    "compile, (function, *arguments): arrays or jax.ShapeDtypeStruct, with shardings, on the mesh that it gets if it "
    "has a parameter `mesh`. Nothing that is compiled is computed. The compiler is a build of Tenstorrent's: what it "
    "refuses, a card does not run; what it takes, a card may still not run."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.epilog = _RULE
    parser.add_argument("function", type=place, metavar="FILE.py:FUNCTION", help="Function in a Python file")
    parser.add_argument(
        "shapes", nargs="*", type=parsed(ArgumentShape.parse), metavar="SHAPE",
        help="Shape of each argument, e.g. f32[8,128]:batch,None (default: FUNCTION returns the arguments too)",
    )  # fmt: skip
    parser.add_argument(
        "--system", type=parsed(_systems), metavar="NAME[,NAME]",
        help="Systems to compile for (default: the smallest with the chips of the mesh)",
    )  # fmt: skip
    parser.add_argument(
        "--mesh", type=parsed(_mesh), metavar="ROWSxCOLS",
        help="Mesh, whose axes are batch and model (default: the first usual one of the system, else 1x1)",
    )  # fmt: skip
    parser.add_argument(
        "--option", type=parsed(_option), action="append", default=[], metavar="KEY=VALUE",
        help="Option of TT's compiler; can be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="Write the programs as text, DIR/SYSTEM.ttir.mlir and .ttnn.mlir"
    )
    parser.add_argument("--json", action="store_true", help="Print JSON, with the count of each op")


def _systems(text: str) -> tuple[str, ...]:
    from pytest_tt.targets.systems import get_system

    return tuple(dict.fromkeys(get_system(name.strip()).name for name in text.split(",")))


def _mesh(text: str) -> MeshShape:
    from pytest_tt.targets.mesh import MeshShape

    return MeshShape.parse(text)


def _option(text: str) -> tuple[str, str]:
    from pytest_tt.targets import compiler_options

    return next(iter(compiler_options.check(dict([compiler_options.parse(text)])).items()))


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each system. Returns 0, or 1 where a program is refused or a card could not run it."""
    from pytest_tt.compiler.card_compiler import DEFAULT_LIMIT_S, CardCompiler
    from pytest_tt.standalone import open_chips
    from pytest_tt.targets import compiler_options
    from pytest_tt.targets.simulated import SimulatedTarget
    from pytest_tt.targets.target import ChipsError
    from pytest_tt.tt_compiler.build import CompilerMissing

    options = dict(arguments.option)
    try:
        compiler_options.check_together(options)
        shape, systems = _where(arguments.mesh, arguments.system)
        compiler = CardCompiler.installed(DEFAULT_LIMIT_S, None)
        mesh = open_chips(shape, backend=SimulatedTarget.name).mesh
    except (ValueError, ChipsError, CompilerMissing) as error:
        raise UnusableError(error) from None
    path, name = arguments.function
    function, args = function_of(path, name, mesh, arguments.shapes)
    results = [_compile(compiler, function, args, mesh, system, options) for system in systems]
    if arguments.write is not None:
        _write(arguments.write, results)
    if arguments.json:
        programs = [result.entry for result in results]
        print(json.dumps({"compiler": compiler.facts, "mesh": str(shape), "programs": programs}, indent=2))
    else:
        print("\n".join(_lines(results, shape, compiler)))
    return int(any(result.problems for result in results))


def _where(mesh: MeshShape | None, systems: Sequence[str] | None) -> tuple[MeshShape, Sequence[str]]:
    """The mesh, and what to compile for. Raises ValueError for a system that has too few chips for it."""
    from pytest_tt.targets.mesh import MeshShape
    from pytest_tt.targets.systems import SYSTEMS, smallest_system

    if mesh is None:
        mesh = MeshShape(1, 1) if systems is None else MeshShape.parse(SYSTEMS[systems[0]].meshes[0])
    if systems is None:
        smallest = smallest_system(mesh.chips)
        if smallest is None:
            raise ValueError(f"--mesh {mesh}: no system has {mesh.chips} chips: take a smaller mesh")
        systems = (smallest,)
    for name in systems:
        if SYSTEMS[name].chips < mesh.chips:
            raise ValueError(f"--system {name}: mesh {mesh} needs {mesh.chips} chips, {name} has {SYSTEMS[name].chips}")
    return mesh, systems


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one system. `program` is None where the compiler refused it."""

    system: str
    program: CardProgram | None
    problems: tuple[TTCompileError, ...]
    entry: dict[str, Any]


def _compile(
    compiler: CardCompiler,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    mesh: Mesh,
    system: str,
    options: dict[str, str],
) -> _Result:
    from pytest_tt.compiler.card_check import one_line, problems_of
    from pytest_tt.compiler.card_compiler import lowered
    from pytest_tt.results.card import compiled, refused
    from pytest_tt.tt_compiler.errors import TTCompileError

    name = getattr(function, "__name__", type(function).__name__)
    try:
        program = compiler.compile(
            lambda: lowered(function, args, {}, mesh, name), system=system, name=name, options=options
        )
    except TTCompileError as error:
        return _Result(
            system, None, (error,), refused(name, system, "x".join(map(str, mesh.devices.shape)), one_line(error))
        )
    problems = tuple(problems_of(program))
    return _Result(system, program, problems, compiled(program, one_line(problems[0]) if problems else None))


def _write(folder: Path, results: Sequence[_Result]) -> None:
    """Write the texts of each program. Raises UnusableError where that cannot be."""
    from pytest_tt.files import write_atomically

    try:
        for result in results:
            if result.program is not None:
                write_atomically(folder / f"{result.system}.ttir.mlir", result.program.ttir)
                write_atomically(folder / f"{result.system}.ttnn.mlir", result.program.ttnn)
    except OSError as error:
        raise UnusableError(f"--write {folder}: cannot be written: {error.strerror}") from None


def _lines(results: Sequence[_Result], mesh: MeshShape, compiler: CardCompiler) -> Iterator[str]:
    """A table with a row a system, the ops of each program, and what is wrong with it."""
    from pytest_tt.text import table

    yield f"{results[0].entry['name']}, compiled by {compiler.build.package} {compiler.build.version}"
    yield table([_HEADER, *(_row(result, mesh) for result in results)], right=_RIGHT)
    systems: dict[str, list[str]] = {}
    for result in results:
        if result.program is not None:
            counts = sorted(result.program.ops.items(), key=lambda pair: (-pair[1], pair[0]))
            ops = ", ".join(f"{count} {op}" for op, count in counts) or "none"
            systems.setdefault(ops, []).append(result.system)
    yield from (f"ops for {', '.join(names)}: {ops}" for ops, names in systems.items())
    yield from (str(problem) for result in results for problem in result.problems)


def _row(result: _Result, mesh: MeshShape) -> tuple[str, ...]:
    from pytest_tt.results.card import total
    from pytest_tt.text import second_text, short_bytes

    entry = result.entry
    if result.program is None:
        return (result.system, str(mesh), "no", *["-"] * 6)
    fits = {True: "yes", False: "no", None: "not known"}[entry["fits"]]
    return (
        result.system,
        str(mesh),
        "yes" if not entry["upstream"] else "not upstream",
        fits,
        f"{total(entry['ops']):,}",
        str(total(entry["host_ops"])),
        ", ".join(f"{count} {kind}" for kind, count in entry["collectives"].items()) or "none",
        f"{short_bytes(entry['dram_peak_bytes'])} of {short_bytes(entry['dram_bytes'])}",
        second_text(entry["roofline_s"]),
    )


COMMAND = Command(
    name="compile",
    help="Compile a function by TT's compiler, without a card: does it compile, does it fit, what would run",
    arguments=add_arguments,
    run=run,
)
