"""The table in a model's README that says on which systems each variant fits, by TT's compiler; as a record, too.

``python -m zoo compile MODEL --readme`` writes it, the contract test compares. A model without one says that all of it
fits everywhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.text import MULTIPLES, short_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_tt.tt_compiler.card_program import CardProgram
    from zoo.registry import Model

BEGIN, END = "<!-- fit: python -m zoo compile {model} --readme -->", "<!-- end of fit -->"

TOLERANCE = 0.05
"""By how much a figure may differ from the one in the table: compilers and versions of jax differ a little."""

_CELL = re.compile(r"(no, )?([\d.]+) (\w+)")


def path_of(model: Model) -> Path:
    """The README that has the table, if there is one."""
    return model.files / "README.md"


def columns(model: Model) -> tuple[tuple[str, str], ...]:
    """Each system with the widest of its usual meshes that the model claims."""
    found = []
    for name, system in SYSTEMS.items():
        mesh = next((mesh for mesh in system.meshes if mesh in model.sharding.meshes), None)
        if mesh is not None:
            found.append((name, mesh))
    return tuple(found)


def text_of(model: Model, peaks: Mapping[tuple[str, str, str], int], compiler: str) -> str:
    """The table, between its two comments. `peaks`: (variant, system, mesh) to the largest peak of its programs."""
    where = columns(model)
    lines: dict[tuple[str, ...], list[str]] = {}
    for variant in dict.fromkeys(variant for variant, _, _ in peaks):
        cells = tuple(_cell(peaks[variant, system, mesh], system) for system, mesh in where)
        lines.setdefault(cells, []).append(f"`{variant}`")
    rows = [
        ("peak DRAM of a chip", *(f"{system} {mesh}" for system, mesh in where)),
        ("---",) * (len(where) + 1),
        *((", ".join(variants), *cells) for cells, variants in lines.items()),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{BEGIN.format(model=model.name)}\n\n{table}\n\nBy {compiler}; `no` where it does not fit.\n\n{END}"


def _cell(peak: int, system: str) -> str:
    return f"{'' if peak <= SYSTEMS[system].dram_bytes_per_chip else 'no, '}{short_bytes(peak)}"


def replaced(readme: str, table: str) -> str:
    """`readme` with `table` in the place of the one that it has. ValueError if it has none."""
    begin, end = readme.find(BEGIN.split(":")[0]), readme.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"the README has no place for the table: put {BEGIN!r} and {END!r} where it belongs")
    return readme[:begin] + table + readme[end + len(END) :]


def told(model: Model) -> dict[tuple[str, str, str], tuple[bool, float]]:
    """(variant, system, mesh) to whether it fits and the peak in bytes, as the README says it; empty without a table.

    ValueError for a table that cannot be read.
    """
    path = path_of(model)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    begin, end = text.find(BEGIN.split(":")[0]), text.find(END)
    if not 0 <= begin < end:
        return {}
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text[begin:end].splitlines() if "|" in line
    ]
    found = {}
    for variants, *cells in rows[2:]:
        for place, cell in zip(rows[0][1:], cells, strict=True):
            match = _CELL.fullmatch(cell)
            if match is None or place.count(" ") != 1:
                raise ValueError(f"{path}: {variants}, {place}: {cell!r}: expected a size, or 'no, ' before one")
            system, _, mesh = place.partition(" ")
            size = float(match[2]) * dict(MULTIPLES)[match[3]]
            for variant in re.findall(r"`([^`]+)`", variants):
                found[variant, system, mesh] = (match[1] is None, size)
    return found


def problems(model: Model, variant: str, system: str, mesh: str, made: Iterable[CardProgram]) -> list[str]:
    """Where the programs of a variant, as compiled for `system`, contradict the README, one line each.

    A variant that the README does not name must fit everywhere.
    """
    peaks = [program.dram_peak_bytes for program in made]
    if not peaks or None in peaks:
        return []
    peak, room = max(peak for peak in peaks if peak is not None), SYSTEMS[system].dram_bytes_per_chip
    of_variant = {(box, place): what for (named, box, place), what in told(model).items() if named == variant}
    if of_variant and (system, mesh) not in of_variant:
        return []  # a mesh that is not the widest of the system
    fits, figure = of_variant.get((system, mesh), (True, None))
    needs = f"{variant} needs {short_bytes(peak)} a chip, {system} has {short_bytes(room)}"
    again = f"python -m zoo compile {model.name} --readme"
    if (peak <= room) != fits:
        return [f"{needs}; the README says that it {'fits' if fits else 'does not fit'}: {again}"]
    if figure is not None and abs(peak - figure) > TOLERANCE * figure:
        return [f"{needs}; the README says {short_bytes(round(figure))}: {again}"]
    return []
