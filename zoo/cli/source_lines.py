"""Which lines of source the ops of a compiled program come from: what ``python -m zoo compile --by-line`` shows.

An op that only stores a tensor in another way (a reshape, a permute, another layout, another type) is a move: it
computes nothing, and another way of writing the line may do without it.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.text import second_text, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.locations import Location
    from pytest_tt.tt_compiler.ttnn_module import Op

MOVES = {
    "reshapes": ("reshape",),
    "permutes": ("permute", "transpose"),
    "layout moves": ("to_layout", "to_memory_config", "to_device", "from_device"),
    "typecasts": ("typecast", "to_dtype"),
}
"""Kinds of moves, and the ops of each."""

ARGUMENTS = "(an argument as it is given)"
"""In place of a line: the compiler moves an argument before any line uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """What one line of source costs in one call of a program, on one chip.

    line: ``zoo/gpt2/model.py:124``, seen from the working directory; None for ops that come of no line, such as moves
    of arguments. called_at: the model's line that led to it, where the line is not in the model's own folder.
    ops: device ops by name. made_for: for each name of an op, what jax had at its place (``dot_general``).
    moves: by the kinds of `MOVES`. seconds: what its ops take at best, one after the other; None if that is not known.
    """

    line: str | None
    called_at: str | None
    ops: Mapping[str, int]
    made_for: Mapping[str, tuple[str, ...]]
    moves: Mapping[str, int]
    seconds: float | None


def moves_of(ops: Mapping[str, int]) -> dict[str, int]:
    """Number of moves of each kind among `ops`, which are counted by name. Kinds that are not there are left out."""
    counts = {kind: sum(ops.get(name, 0) for name in names) for kind, names in MOVES.items()}
    return {kind: count for kind, count in counts.items() if count}


def lines_of(program: CardProgram, folder: Path) -> tuple[SourceLine, ...]:
    """The lines that the device ops of `program` come from, dearest first: most moves, then most ops, then slowest.

    `folder` is the model's.
    """
    ops: defaultdict[tuple[str | None, str | None], list[Op]] = defaultdict(list)
    seconds: defaultdict[tuple[str | None, str | None], float] = defaultdict(float)
    for op in program.device_ops:
        ops[_places(op.location, folder)].append(op)
    for bound in program.bounds:
        seconds[_places(bound.op.location, folder)] += bound.times * bound.seconds
    unknown = {_places(bound.op.location, folder) for bound in program.bounds if bound.dram_bytes is None}
    found = [_line(place, ops[place], None if place in unknown else seconds[place]) for place in ops]
    return tuple(
        sorted(found, key=lambda one: (-sum(one.moves.values()), -sum(one.ops.values()), -(one.seconds or 0.0)))
    )


def _line(place: tuple[str | None, str | None], ops: Sequence[Op], seconds: float | None) -> SourceLine:
    counts = Counter(op.short_name for op in ops)
    made_for = {
        name: tuple(sorted({_primitive(op.location.name) for op in ops if op.short_name == name} - {""}))
        for name in counts
    }
    by_count = dict(counts.most_common())
    return SourceLine(
        line=place[0], called_at=place[1], ops=by_count, made_for=made_for, moves=moves_of(by_count), seconds=seconds
    )


def _primitive(name: str) -> str:
    """``dot_general`` of ``jit(f)/Dense_0/dot_general``; ``cache[*][*]`` of an argument ``cache[0][1]``."""
    return re.sub(r"\[\d+\]", "[*]", name.rpartition("/")[2])


def _places(location: Location, folder: Path) -> tuple[str | None, str | None]:
    """The innermost line of the user's code, and the model's if that is another one."""
    frames = [frame for frame in location.frames if frame.is_users]
    if not frames:
        return location.place, None
    root = str(folder) + os.sep
    inside = next((frame for frame in frames if frame.file.startswith(root)), None)
    called_at = None if inside is None or inside is frames[0] else f"{_short(inside.file)}:{inside.line}"
    return f"{_short(frames[0].file)}:{frames[0].line}", called_at


def _short(file: str) -> str:
    """A file as it is seen from the working directory, if it is below that."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def text_of(
    title: str, lines: Sequence[SourceLine], layers: int | None, ops: Mapping[str, int], roofline_s: float | None
) -> str:
    """Two tables for people: the device ops of a program by name, and the lines that they come from."""
    total = sum(ops.values())
    head = f"{title}: {total} device ops" + ("" if layers is None else f", {total / layers:.1f} a layer of {layers}")
    told = ", ".join(f"{count} {kind}" for kind, count in moves_of(ops).items()) or "none"
    by_name = [
        (name, str(count), _share(count, layers)) for name, count in sorted(ops.items(), key=lambda pair: -pair[1])
    ]
    by_line = [
        (
            str(sum(line.moves.values()) or ""),
            str(sum(line.ops.values())),
            _share(sum(line.ops.values()), layers),
            time_text(line.seconds),
            " at ".join(filter(None, (line.line or ARGUMENTS, line.called_at))),
            _what(line),
        )
        for line in lines
    ]
    return "\n".join(
        [
            head,
            f"moves: {told}; at best {time_text(roofline_s)}",
            "",
            table([("op", "ops", "a layer"), *by_name], (1, 2)),
            "",
            table([("moves", "ops", "a layer", "at best", "line", "ops by name, and what jax had there"), *by_line],
                  (0, 1, 2, 3)),
        ]
    )  # fmt: skip


def time_text(seconds: float | None) -> str:
    """A bound: ``12.3 ms``, ``< 1 µs``, ``-`` for None."""
    return "< 1 µs" if seconds is not None and seconds < 1e-6 else second_text(seconds)


def _share(count: int, layers: int | None) -> str:
    return "-" if layers is None else f"{count / layers:.1f}"


def _what(line: SourceLine) -> str:
    """``24 reshape (dot_general), 12 add``: what jax had there, where its name is another one."""
    return ", ".join(f"{count} {name}{_origin(name, line.made_for[name])}" for name, count in line.ops.items())


def _origin(name: str, names: Iterable[str]) -> str:
    others = [other for other in names if other != name]
    return f" ({', '.join(others)})" if others else ""
