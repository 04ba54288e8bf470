"""What TT's compiler made of one program of a model: a row of the table of ``python -m zoo compile``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_tt.text import short_bytes, table
from zoo.cli.source_lines import SourceLine, lines_of, moves_of, time_text
from zoo.programs import layers_of, problems_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_tt.tt_compiler.card_program import CardProgram
    from zoo.programs import ModelProgram
    from zoo.registry import Model

HEADER = (
    "model", "variant", "program", "compiles", "fits", "host ops", "ops", "a layer", "collectives", "peak DRAM",
    "at best",
)  # fmt: skip
RIGHT = (5, 6, 7, 9, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the compiler made of a program. All from `fits` on is None where it made nothing.

    parameters: their dtype, if asked for. rows: of the batch; length: tokens of a row or a prompt, or slots of the
    cache. problems: why it does not compile, what Tenstorrent's own compiler does not take, what runs on the host,
    collectives that the model does not declare, that it does not fit. layers: of the config,
    `zoo.programs.layers_of`. ops_per_layer: all ops over the layers; None
    for models without layers that are alike. moves: reshapes, permutes, layout moves, typecasts, by kind.
    moved_bytes: that the ops of a call read and write in a chip's DRAM at least. link_bytes: that a chip receives of
    others in a call. argument_bytes: of a chip's share of weights, cache and inputs as they are given.
    dram_peak_bytes, dram_bytes: of a chip, and what it has. roofline_s: seconds that a call takes at best.
    lines: what each line of source costs, where that was asked for.
    """

    model: str
    variant: str
    program: str
    parameters: str | None = None
    rows: int
    length: int | None
    compiles: bool
    problems: tuple[str, ...] = ()
    fits: bool | None = None
    host_ops: Mapping[str, int] | None = None
    ops: Mapping[str, int] | None = None
    layers: int | None = None
    ops_per_layer: float | None = None
    moves: Mapping[str, int] | None = None
    collectives: Mapping[str, int] | None = None
    moved_bytes: int | None = None
    link_bytes: int | None = None
    argument_bytes: int | None = None
    dram_peak_bytes: int | None = None
    dram_bytes: int | None = None
    roofline_s: float | None = None
    compiler: str | None = None
    lines: tuple[SourceLine, ...] | None = None


def row_of(
    model: Model, variant: str, program: ModelProgram, made: CardProgram | Exception, *, by_line: bool = False
) -> Row:
    """The row of a program, of which the compiler `made` something or said why not; `by_line`: with its lines."""
    row = Row(
        model=model.name,
        variant=variant,
        program=program.name,
        rows=program.rows,
        length=program.length,
        compiles=not isinstance(made, Exception),
    )
    if isinstance(made, Exception):
        return replace(row, problems=(" ".join(str(made).split()),))
    problems = problems_of(program, made)
    if made.fits is False:
        problems.append(
            f"needs {short_bytes(made.dram_peak_bytes)} a chip, {made.system} has {short_bytes(made.dram_bytes)}"
        )
    layers = layers_of(model.config(variant))
    return replace(
        row,
        problems=tuple(problems),
        fits=made.fits,
        host_ops=made.host_ops,
        ops=made.ops,
        layers=layers,
        ops_per_layer=None if layers is None else sum(made.ops.values()) / layers,
        moves=moves_of(made.ops),
        collectives=made.collectives,
        moved_bytes=made.moved_bytes,
        link_bytes=made.link_bytes,
        argument_bytes=made.argument_bytes,
        dram_peak_bytes=made.dram_peak_bytes,
        dram_bytes=made.dram_bytes,
        roofline_s=made.roofline_s,
        compiler=str(made.compiler),
        lines=lines_of(made, model.files) if by_line else None,
    )


def text_of(rows: Iterable[Row]) -> str:
    """The table for people, and below it what is wrong."""
    rows = list(rows)
    cells = [
        (
            row.model,
            row.variant,
            row.program,
            "yes" if row.compiles else "no",
            {True: "yes", False: "no", None: "-"}[row.fits],
            "-" if row.host_ops is None else str(sum(row.host_ops.values())),
            "-" if row.ops is None else str(sum(row.ops.values())),
            "-" if row.ops_per_layer is None else f"{row.ops_per_layer:.0f}",
            "-" if row.collectives is None else _counts(row.collectives),
            short_bytes(row.dram_peak_bytes),
            time_text(row.roofline_s),
        )
        for row in rows
    ]
    told = [f"{row.variant} {row.program}: {problem}" for row in rows for problem in row.problems]
    return "\n".join([table([HEADER, *cells], RIGHT), *told])


def _counts(collectives: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in collectives.items()) or "none"
