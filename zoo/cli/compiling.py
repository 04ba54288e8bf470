"""``python -m zoo compile``: what TT's compiler makes of each program of the models, without a card or weights."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_tt.cli.command import Command, UnusableError
from pytest_tt.files import write_atomically
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.text import short_bytes
from zoo.cli import compiled_record, source_lines
from zoo.cli.compiled_row import Row, row_of, text_of
from zoo.programs import LENGTH, ROWS, names_of, programs_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from pytest_tt.targets.systems import System
    from pytest_tt.tt_compiler.card_program import CardProgram
    from zoo.programs import ModelProgram
    from zoo.registry import Model

LEGEND = """\
by {compiler}, for {system}, mesh {mesh}; rows: {rows}, of {length} tokens, decode with twice as many in the cache
ops: of one call, on each chip. peak DRAM: of a chip, which has {dram} for programs
at best: bound by a chip's arithmetic, its DRAM and what it receives; nothing here was measured on a card"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What programs are compiled for: rows of a batch, tokens of a row; and options of TT's compiler.

    parameters: their dtype, None: as the variants have them. by_line: whether the rows say what each line of source
    costs.
    """

    rows: int = ROWS
    length: int = LENGTH
    parameters: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    by_line: bool = False


def rows_of(chosen: Iterable[tuple[Model, str]], system: str, mesh: str, sizes: Sizes) -> Iterator[Row]:
    """A row for each program of the models and variants, as they come. Raises CompilerMissing without the compiler.

    The next program is traced while the compiler, a process of its own, works on the one before.
    """
    from pytest_tt import open_chips
    from pytest_tt.tt_compiler.compile import compile_program
    from pytest_tt.tt_compiler.errors import TTCompileError
    from pytest_tt.tt_compiler.lowering import lower

    chips = open_chips(mesh, backend="sim").mesh
    waiting: deque[tuple[Model, str, ModelProgram, Future[CardProgram]]] = deque()

    def next_row() -> Row:
        model, variant, program, future = waiting.popleft()
        try:
            made: CardProgram | TTCompileError = future.result()
        except TTCompileError as error:
            made = error
        return replace(row_of(model, variant, program, made, by_line=sizes.by_line), parameters=sizes.parameters)

    with ThreadPoolExecutor(1) as compiler:
        for model, variant in chosen:
            config = model.config(variant)
            for program in programs_of(
                model, config, chips, rows=sizes.rows, length=sizes.length, parameters=sizes.parameters
            ):
                lowered = lower(program.function, program.arguments, {})
                future = compiler.submit(compile_program, lowered, system=system, options=dict(sizes.options))
                waiting.append((model, variant, program, future))
                if len(waiting) > 1:
                    yield next_row()
        while waiting:
            yield next_row()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument(
        "models", metavar="MODEL[:VARIANT]", nargs="*", help="only these (default: all models that claim the mesh)"
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--system", help="for the chips of this system: n150, n300, t3k …")
    where.add_argument(
        "--readme",
        action="store_true",
        help="for all systems: write the tables of the models' READMEs that say where each published variant fits, or "
        "the rows of the variants that are named",
    )
    where.add_argument(
        "--check",
        action="store_true",
        help="compare with zoo/compiled.json: exit with 1 where a program has more ops, ops on the host or collectives "
        "than is recorded, or moves or takes more bytes (default: all programs that are recorded; --mesh: on that one)",
    )
    where.add_argument(
        "--record",
        action="store_true",
        help="write zoo/compiled.json: these models, beside what else is recorded (default: all that are recorded)",
    )
    parser.add_argument("--mesh", metavar="ROWSxCOLS", help="default: the system's widest usual one")
    parser.add_argument(
        "--rows", type=int, default=ROWS, help="of a batch; more if the mesh asks (default: %(default)s)"
    )
    parser.add_argument(
        "--length", type=int, default=LENGTH, metavar="TOKENS",
        help="of a row or prompt; a cache has twice as many (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--parameters",
        choices=("float32", "bfloat16"),
        help="dtype of the weights, in which most models then compute (default: as each variant has them)",
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of TT's compiler; can be repeated"
    )
    parser.add_argument(
        "--by-line",
        action="store_true",
        help="for each program also its ops by name, and the lines of source that they come from, those that cause the "
        "most moves first: reshapes, permutes, other layouts, typecasts",
    )
    parser.add_argument("--json", action="store_true", help="a list of rows for programs, with all that is known")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, or JSON: a list of objects with the fields of `Row`. Returns 0, or 1 if a row has a problem."""
    from pytest_tt.targets.systems import get_system
    from pytest_tt.tt_compiler.build import CompilerMissing, find_build

    try:
        find_build()
        if arguments.readme:
            write_readmes(arguments.models)
            return 0
        if arguments.check or arguments.record:
            return _recorded(arguments.models, record=arguments.record, only=arguments.mesh)
        system = get_system(arguments.system)
        mesh = mesh_for(system, arguments.mesh)
        sizes = Sizes(
            rows=arguments.rows,
            length=arguments.length,
            parameters=arguments.parameters,
            options=options_of(arguments.option),
            by_line=arguments.by_line,
        )
        if min(sizes.rows, sizes.length) < 1:
            raise ValueError(f"--rows {sizes.rows}, --length {sizes.length}: expected 1 or more of both")
        found = list(watched(chosen_by(arguments.models, mesh), system.name, mesh, sizes))
    except (ValueError, CompilerMissing) as error:
        raise UnusableError(error) from None
    if arguments.json:
        print(json.dumps([asdict(row) for row in found], indent=1))
    else:
        told = LEGEND.format(
            compiler=next((row.compiler for row in found if row.compiler), "TT's compiler"),
            system=system.name,
            mesh=mesh,
            rows=sizes.rows,
            length=sizes.length,
            dram=short_bytes(system.dram_bytes_per_chip),
        )
        for row in found:
            if row.lines is not None and row.ops is not None:
                title = f"{row.model} {row.variant} {row.program}"
                print(source_lines.text_of(title, row.lines, row.layers, row.ops, row.roofline_s), end="\n\n")
        print(f"{text_of(found)}\n\n{told}")
    return int(any(row.problems for row in found))


def watched(chosen: Sequence[tuple[Model, str]], system: str, mesh: str, sizes: Sizes) -> Iterator[Row]:
    """`rows_of`, with a bar where stderr is a terminal."""
    from tqdm import tqdm

    total = sum(len(names_of(model)) for model, _ in chosen)
    with tqdm(total=total, unit="program", disable=None, leave=False) as bar:
        for row in rows_of(chosen, system, mesh, sizes):
            bar.set_description(f"{system} {mesh} {row.variant} {row.program}")
            bar.update()
            yield row


def options_of(words: Iterable[str]) -> dict[str, str]:
    """Options of TT's compiler, checked. ValueError for one that it does not have."""
    from pytest_tt.targets import compiler_options

    options = compiler_options.check(dict(map(compiler_options.parse, words)))
    compiler_options.check_together(options)
    return options


def write_readmes(words: Sequence[str]) -> None:
    """Write the tables of models, MODEL, or rows of them, MODEL:VARIANT (default: all tables that there are).

    A model's table has its published variants, and what it named before. ValueError for a model whose README has none.
    """
    from zoo import registry
    from zoo.authoring import fit_table

    chosen: dict[str, list[str]] = {}
    for word in words or [name for name, model in registry.models().items() if fit_table.told(model)]:
        name, colon, variant = word.partition(":")
        chosen.setdefault(name, []).extend([variant] if colon else [])
    for name, named in chosen.items():
        model = registry.model(name)
        path = fit_table.path_of(model)
        fit_table.replaced(path.read_text(encoding="utf-8"), "")  # raises now, not after minutes
        told = fit_table.told(model)
        peaks = {where: round(size) for where, (_, size) in told.items()} if named else {}
        variants = named or [*model.sources, *(variant for variant, _, _ in told)]
        alike = _alike(model, variants)
        compiler = None
        # Simulated chips cannot become more once they are in use.
        for system, mesh in sorted(fit_table.columns(model), key=lambda column: -MeshShape.parse(column[1]).chips):
            found: dict[str, int] = {}
            for row in watched([(model, group[0]) for group in alike], system, mesh, Sizes()):
                if row.dram_peak_bytes is None:
                    raise ValueError(f"{row.variant} {row.program} for {system}: {'; '.join(row.problems)}")
                compiler = row.compiler
                found[row.variant] = max(found.get(row.variant, 0), row.dram_peak_bytes)
            peaks |= {(variant, system, mesh): found[group[0]] for group in alike for variant in group}
        order = list(model.variants)
        peaks = dict(sorted(peaks.items(), key=lambda item: order.index(item[0][0])))
        before = path.read_text(encoding="utf-8")
        after = fit_table.replaced(before, fit_table.text_of(model, peaks, compiler or ""))
        write_atomically(path, after)
        print(f"{name}: {'unchanged' if after == before else 'changed'}")


def _alike(model: Model, variants: Iterable[str]) -> list[list[str]]:
    """The variants, those together whose configs differ by their names alone: their programs are the same."""
    groups: dict[Any, list[str]] = {}
    for variant in dict.fromkeys(variants):
        config = model.config(variant)
        named = is_dataclass(config) and any(one.name == "name" for one in fields(config))
        groups.setdefault(replace(config, name="") if named else config, []).append(variant)
    return list(groups.values())


def _recorded(names: Sequence[str], *, record: bool, only: str | None) -> int:
    """Compare with the record, on all meshes or `only` one, or write it. Returns 1 if something is worse.

    ValueError for a mesh that nothing is recorded for, and for one mesh of a record that is to be written.
    """
    places = [(system, mesh) for system, mesh in compiled_record.PLACES if only in (None, mesh)]
    if not places or (record and only):
        meshes = "none" if record else " or ".join(mesh for _, mesh in compiled_record.PLACES)
        raise ValueError(f"--mesh {only}: expected {meshes}: {compiled_record.PATH.name} has programs of all of these")
    path = compiled_record.PATH
    before = compiled_record.Record.read(path)
    now = compiled_record.Record.of_here()
    other = before.other_than(now)
    if other and not record:
        print(f"NOTHING IS COMPARED: {other}")
        return 0
    # Another compiler makes other programs of all of them.
    chosen = list(dict.fromkeys([*names, *(before.variants if other or not names else ())]))
    if not chosen:
        raise ValueError("nothing is recorded yet: name the models, MODEL:VARIANT")
    found: list[tuple[Row, str, str]] = []
    for system, mesh in places:  # the largest first: simulated chips in use cannot become more
        claimed = [word for word in chosen if mesh in _model_of(word).sharding.meshes]
        if claimed:
            rows = watched(chosen_by(claimed, mesh), system, mesh, Sizes())
            found += [(row, system, mesh) for row in rows]
        again = [word for word in compiled_record.IN_BFLOAT16 if word in claimed and mesh == compiled_record.SMALLEST]
        if again:
            rows = watched(chosen_by(again, mesh), system, mesh, Sizes(parameters="bfloat16"))
            found += [(row, system, mesh) for row in rows]
    now = now.with_rows(found)
    if record:
        write_atomically(path, before.updated(now).text())
        print(f"{len(found)} programs recorded in zoo/{path.name}, by {now.compiler}")
        return 0
    worse, better = compiled_record.differences(before, now)
    print("\n".join([*worse, *better]) or f"all {len(found)} programs as recorded, by {now.compiler}")
    return int(bool(worse))


def _model_of(word: str) -> Model:
    from zoo import registry

    return registry.model(word.partition(":")[0])


def mesh_for(system: System, given: str | None) -> str:
    """The mesh that is `given`, else the widest usual one of `system`. ValueError if it has too few chips."""
    mesh = MeshShape.parse(given or system.meshes[0])
    if mesh.chips > system.chips:
        raise ValueError(f"mesh {mesh} has {mesh.chips} chips, {system.name} has {system.chips}")
    return str(mesh)


def chosen_by(words: Iterable[str], mesh: str) -> list[tuple[Model, str]]:
    """Models and variants that `words` name (MODEL or MODEL:VARIANT), all of a model or of the zoo else.

    ValueError for a name that is not one, and for a model that does not claim `mesh`.
    """
    from zoo import registry

    found: list[tuple[Model, str]] = []
    for word in words:
        name, colon, variant = word.partition(":")
        model = registry.model(name)
        if mesh not in model.sharding.meshes:
            raise ValueError(f"{name} is not for mesh {mesh}; expected one of {', '.join(model.sharding.meshes)}")
        if colon:
            model.config(variant)
        found += [(model, one) for one in ([variant] if colon else model.variants)]
    if found:
        return found
    return [
        (model, one) for model in registry.models().values() if mesh in model.sharding.meshes for one in model.variants
    ]


COMMAND = Command(
    name="compile",
    help="compile programs by TT's compiler, without a card or weights",
    description="Compile the models' programs (forward; prefill and decode of those that write text) by TT's compiler, "
    "without a card and without weights: does each compile and fit, what will the chips run, how fast at best. Needs "
    "pytest-tt[compiler]. Exit with 1 if a program has a problem. The compiler is a build of Tenstorrent's: what it "
    "refuses, a card does not run; what it takes, a card may still not run.",
    arguments=add_arguments,
    run=run,
)
