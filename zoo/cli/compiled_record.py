"""The record of what the models' programs are once compiled, ``zoo/compiled.json``, so that none gets worse unseen.

    {"compiler": "jax-tt-plugin 0.1.3 (tt-mlir 614f605f)", "jax": "0.10.2", "rows": 8, "length": 128,
     "programs": {"gpt2:gpt2 decode on n150 1x1": {"ops": 425, "ops_per_layer": 35.4, …}}}

``python -m zoo compile --record`` writes it, ``--check`` compares. Another build of the compiler, or another jax, makes
other programs: then nothing is compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.programs import LENGTH, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from zoo.cli.compiled_row import Row

PATH = registry.ROOT / "compiled.json"

PLACES = (("t3k", "1x8"), ("n300", "1x2"), ("n150", "1x1"))
"""System and mesh that programs are recorded for, where the model claims the mesh."""

SMALLEST = PLACES[-1][1]
IN_BFLOAT16 = ("gpt2:gpt2",)
"""Variants of float32 whose programs with parameters in bfloat16, which are others, are recorded on `SMALLEST` too."""

RATIO = 1.01
"""Peaks, and bytes that are moved, may grow to so many times the recorded ones."""

AGAIN = "if that is meant: python -m zoo compile --record"
BY_LINE = "which lines: python -m zoo compile {where} --by-line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A compiled program in figures, of one call on one chip.

    ops: device ops, deallocations aside; ops_per_layer: over the layers or blocks, None without any. moved_bytes: read
    and written in DRAM. link_bytes: that a chip receives for each token, or for each row where rows are not of tokens.
    roofline_s: seconds at best. dram_peak_bytes: of a chip; peak_over_arguments: over the bytes of weights, cache and
    inputs as they are given, for models with layers. None: the program is refused, or it is not known.
    """

    ops: int | None = None
    ops_per_layer: float | None = None
    reshapes: int = 0
    permutes: int = 0
    layout_moves: int = 0
    typecasts: int = 0
    host_ops: int = 0
    collectives: int = 0
    moved_bytes: int | None = None
    link_bytes: float = 0.0
    roofline_s: float | None = None
    dram_peak_bytes: int | None = None
    peak_over_arguments: float | None = None

    @classmethod
    def of(cls, row: Row) -> Figures:
        """Those of a row of the table."""
        if row.ops is None:
            return cls()
        moves, peak, given = row.moves or {}, row.dram_peak_bytes, row.argument_bytes
        items = row.rows * (row.length or 1) if row.program != "decode" else row.rows
        return cls(
            ops=sum(row.ops.values()),
            ops_per_layer=None if row.ops_per_layer is None else round(row.ops_per_layer, 1),
            reshapes=moves.get("reshapes", 0),
            permutes=moves.get("permutes", 0),
            layout_moves=moves.get("layout moves", 0),
            typecasts=moves.get("typecasts", 0),
            host_ops=sum((row.host_ops or {}).values()),
            collectives=sum((row.collectives or {}).values()),
            moved_bytes=row.moved_bytes,
            link_bytes=round((row.link_bytes or 0) / items, 1),
            roofline_s=None if row.roofline_s is None else float(f"{row.roofline_s:.4g}"),
            dram_peak_bytes=peak,
            peak_over_arguments=round(peak / given, 3) if peak and given and row.layers else None,
        )

    def plain(self) -> dict[str, Any]:
        """For JSON: without what is zero or not there."""
        values = {name.name: getattr(self, name.name) for name in fields(self)}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Record:
    """What was compiled by which build, with which jax, for how many rows of how many tokens.

    programs: by ``MODEL:VARIANT PROGRAM on SYSTEM MESH``. `compiler` is empty where nothing was compiled yet.
    """

    compiler: str
    jax: str
    rows: int = ROWS
    length: int = LENGTH
    programs: Mapping[str, Figures] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file; an empty one if there is none."""
        if not path.is_file():
            return cls("", "")
        plain = json.loads(path.read_text(encoding="utf-8"))
        programs = {name: Figures(**figures) for name, figures in plain.pop("programs").items()}
        return cls(**plain, programs=programs)

    @classmethod
    def of_here(cls) -> Record:
        """An empty one of the compiler and the jax that are installed. Raises CompilerMissing without the compiler."""
        from pytest_tt.tt_compiler.build import find_build
        from pytest_tt.tt_compiler.card_program import Compiler
        from pytest_tt.tt_compiler.compile import identify

        build = identify(find_build())
        return cls(str(Compiler(build.package, build.version, build.tt_mlir)), version("jax"))

    @property
    def variants(self) -> list[str]:
        """What is recorded, each ``MODEL:VARIANT``."""
        return list(dict.fromkeys(name.partition(" ")[0] for name in self.programs))

    def with_rows(self, rows: Iterable[tuple[Row, str, str]]) -> Record:
        """With the programs of `rows`, each with its system and mesh."""
        found = {
            f"{row.model}:{row.variant} {_program(row)} on {system} {mesh}": Figures.of(row)
            for row, system, mesh in rows
        }
        return replace(self, programs={**self.programs, **found})

    def other_than(self, now: Record) -> str:
        """Why the record does not hold here, one line; empty if it does."""
        pairs = {
            "by {}, here is {}": (self.compiler, now.compiler),
            "with jax {}, here is {}": (self.jax, now.jax),
            "for {} rows, here are {}": (self.rows, now.rows),
            "of {} tokens, here are {}": (self.length, now.length),
        }
        told = [words.format(there, here) for words, (there, here) in pairs.items() if there != here]
        return f"{PATH.name} was made {'; '.join(told)}: python -m zoo compile --record" if told else ""

    def updated(self, now: Record) -> Record:
        """`now` with the programs of other variants that are recorded here, if they are of the same compiler."""
        again = set(now.variants)
        kept = {} if self.other_than(now) else self.programs
        programs = {name: figures for name, figures in kept.items() if name.partition(" ")[0] not in again}
        return replace(now, programs=dict(sorted({**programs, **now.programs}.items())))

    def text(self) -> str:
        """As the file has it: a program on each line."""
        lines = [f"  {json.dumps(name)}: {json.dumps(figures.plain())}" for name, figures in self.programs.items()]
        return (
            f'{{"compiler": {json.dumps(self.compiler)}, "jax": {json.dumps(self.jax)}, "rows": {self.rows}, '
            f'"length": {self.length},\n "programs": {{\n' + ",\n".join(lines) + "\n}}\n"
        )


def _program(row: Row) -> str:
    """``decode``, or ``decode-bfloat16`` where the parameters are asked for in bfloat16."""
    return row.program if row.parameters is None else f"{row.program}-{row.parameters}"


def _place(name: str) -> str:
    """System and mesh of a program in the record."""
    return name.rpartition(" on ")[2]


def differences(before: Record, now: Record) -> tuple[list[str], list[str]]:
    """What is worse than recorded, and what is better, one line each: what, before, now, what to do.

    Of the variants and places that `now` has. A program that is not recorded is worse, and so is one that is not there
    any more.
    """
    worse: list[str] = []
    better: list[str] = []
    for name, figures in now.programs.items():
        old = before.programs.get(name)
        if old is None:
            worse.append(f"{name}: not recorded; python -m zoo compile --record {name.partition(' ')[0]}")
            continue
        worse += [f"{name}: {what}" for what in _grown(name, old, figures)]
        if less := _shrunk(old, figures):
            better.append(f"{name}: {less}: better; python -m zoo compile --record {name.partition(' ')[0]}")
    variants, places = set(now.variants), set(map(_place, now.programs))
    gone = [
        name
        for name in before.programs
        if name.partition(" ")[0] in variants and _place(name) in places and name not in now.programs
    ]
    return [*worse, *(f"{name}: recorded, and not there any more; {AGAIN}" for name in gone)], better


def _grown(name: str, old: Figures, new: Figures) -> list[str]:
    """What is more than recorded, and what to do."""
    if new.ops is None:
        return [] if old.ops is None else [f"refused; `python -m zoo compile {_where(name)}` says why"]
    found = []
    look = BY_LINE.format(where=_where(name))
    if new.ops > (old.ops or 0):
        layers = "" if new.ops_per_layer is None else f" ({old.ops_per_layer or 0} -> {new.ops_per_layer} a layer)"
        found.append(f"{old.ops or 0} -> {new.ops} device ops{layers}; {look}; {AGAIN}")
    if new.host_ops > old.host_ops:
        found.append(f"{old.host_ops} -> {new.host_ops} ops on the host, where none belongs; {look}")
    if new.collectives > old.collectives:
        found.append(f"{old.collectives} -> {new.collectives} collectives; {AGAIN}")
    if new.link_bytes > old.link_bytes:
        found.append(f"{old.link_bytes} -> {new.link_bytes} bytes on the links for each token or row; {AGAIN}")
    for what, there, here in _sizes(old, new):
        if (here or 0) > RATIO * (there or 0):
            found.append(f"{what} {_mib(there)} -> {_mib(here)}; {AGAIN}")
    return found


def _sizes(old: Figures, new: Figures) -> list[tuple[str, int | None, int | None]]:
    return [
        ("peak DRAM of a chip", old.dram_peak_bytes, new.dram_peak_bytes),
        ("read and written in DRAM", old.moved_bytes, new.moved_bytes),
    ]


def _shrunk(old: Figures, new: Figures) -> str:
    """What is less than recorded; empty if nothing is."""
    found = []
    if new.ops is not None and new.ops < (old.ops or 0):
        found.append(f"{old.ops} -> {new.ops} device ops")
    for what, there, here in _sizes(old, new):
        if here is not None and RATIO * here < (there or 0):
            found.append(f"{what} {_mib(there)} -> {_mib(here)}")
    return ", ".join(found)


def _mib(size: int | None) -> str:
    """In one unit, so that a hundredth is seen."""
    return f"{(size or 0) / 2**20:,.1f} MiB"


def _where(name: str) -> str:
    """The arguments of the command that compiles a program of the record."""
    variant, program, _, system, mesh = name.split(" ")
    dtype = program.partition("-")[2]
    return f"{variant} --system {system} --mesh {mesh}" + (f" --parameters {dtype}" if dtype else "")
