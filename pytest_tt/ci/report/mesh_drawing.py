"""Draws a mesh with who holds what: for each way of splitting, every chip with the number of the part it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from pytest_tt.ci.report.rendering import render
from pytest_tt.text import short_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from pytest_tt.results.arrays import Array, Placement

    Spec = tuple[tuple[str, ...], ...]
    Axes = Mapping[str, int]

_BITS = re.compile(r"[a-z]+(\d+)")


@dataclass(frozen=True, slots=True)
class Split:
    """A way of splitting arrays: the mesh axes that number the parts, the first counts slowest; none: whole."""

    axes: tuple[str, ...]

    def part(self, place: Mapping[str, int], sizes: Axes) -> int:
        """Number of the part that the chip at `place` holds."""
        number = 0
        for axis in self.axes:
            number = number * sizes[axis] + place[axis]
        return number

    def parts(self, sizes: Axes) -> int:
        """How many parts there are."""
        return prod(sizes[axis] for axis in self.axes)


def draw_placements(placements: Sequence[Placement]) -> Markup:
    """Who holds what: a drawing of the mesh and a table of arrays for each way of splitting."""
    return render("placements", splits=[split for axes, arrays in placements for split in _splits(axes or {}, arrays)])


def _splits(sizes: Axes, found: Sequence[Array]) -> list[dict[str, Any]]:
    by_split: dict[Split | None, list[Array]] = {}
    for array in found:
        by_split.setdefault(split_of(array.spec, sizes), []).append(array)
    ordered = sorted(by_split.items(), key=lambda pair: (pair[0] is None, -len(pair[0].axes) if pair[0] else 0))
    return [
        {
            "words": split_text(split, sizes),
            "mesh": None if split is None else _mesh(split, sizes),
            "arrays": [_array(split, array, sizes) for array in arrays],
        }
        for split, arrays in ordered
    ]


def split_of(spec: Spec | None, sizes: Axes) -> Split | None:
    """The split that a spec means on a mesh; None for one that is not known. Axes of size 1 split nothing."""
    if spec is None or not sizes:
        return None
    names = [name for entry in spec for name in entry]
    if any(name not in sizes for name in names):
        return None
    return Split(tuple(name for name in names if sizes[name] > 1))


def split_text(split: Split | None, sizes: Axes) -> str:
    """A split in words."""
    if split is None:
        return "Placed by something else than mesh axes"
    chips, parts = prod(sizes.values()), split.parts(sizes)
    if parts == 1:
        return "On the only chip" if chips == 1 else f"Whole on each of {chips} chips"
    copies = chips // parts
    held = "each on one chip" if copies == 1 else f"each on {copies} chips"
    return f"{parts} parts over {' and '.join(split.axes)}, {held}"


def _mesh(split: Split, sizes: Axes) -> dict[str, Any]:
    """The mesh as a table: the last axis goes along its rows, whose names say the place on the others."""
    *upper, last = list(sizes)
    places: list[dict[str, int]] = [{}]
    for axis in upper:
        places = [{**place, axis: index} for place in places for index in range(sizes[axis])]
    parts = split.parts(sizes)
    rows = []
    for place in places:
        held = [split.part({**place, last: index}, sizes) for index in range(sizes[last])]
        chips = [
            {"part": "whole" if parts == 1 else number, "hue": round(360 * number / parts + 210) % 360}
            for number in held
        ]
        rows.append({"name": " ".join(f"{axis} {index}" for axis, index in place.items()), "chips": chips})
    return {"last": last, "across": sizes[last], "named": bool(upper), "rows": rows}


def _array(split: Split | None, array: Array, sizes: Axes) -> dict[str, str]:
    on_chip = "-"
    if split is not None and array.spec is not None:
        parts = [prod(sizes[axis] for axis in entry) for entry in array.spec]
        shape = [ceil(size / count) for size, count in zip(array.shape, parts, strict=True)]
        size = _bytes(array.dtype, shape)
        on_chip = _shape(shape) + ("" if size is None else f", {short_bytes(size)}")
    return {
        "name": array.name,
        "times": "" if array.count == 1 else f" × {array.count}",
        "whole": f"{array.dtype}{_shape(array.shape)}",
        "spec": "-" if array.spec is None else f"({', '.join('+'.join(entry) or '-' for entry in array.spec)})",
        "on_chip": on_chip,
    }


def _shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _bytes(dtype: str, shape: Sequence[int]) -> int | None:
    bits = 8 if dtype == "bool" else int(match[1]) if (match := _BITS.match(dtype)) else None
    return None if bits is None else ceil(prod(shape) * bits / 8)
