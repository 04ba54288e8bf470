"""Draws a mesh with who holds what: for each way of splitting, every chip with the number of the part it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from pytest_tt.ci.report.html import Html, element, join
from pytest_tt.results.arrays import Array
from pytest_tt.text import short_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def draw_shardings(groups: Sequence[Mapping[str, Any]]) -> Html:
    """What a row's ``shardings`` say: a drawing of the mesh and a table of arrays for each way of splitting."""
    return join(*map(_draw_group, groups))


def _draw_group(group: Mapping[str, Any]) -> Html:
    sizes: Axes = group["axes"] or {}
    by_split: dict[Split | None, list[Array]] = {}
    for array in map(Array.parse, group["arrays"]):
        by_split.setdefault(split_of(array.spec, sizes), []).append(array)
    ordered = sorted(by_split.items(), key=lambda pair: (pair[0] is None, -len(pair[0].axes) if pair[0] else 0))
    return join(*(_draw_split(split, arrays, sizes) for split, arrays in ordered))


def _draw_split(split: Split | None, arrays: Sequence[Array], sizes: Axes) -> Html:
    mesh = None if split is None else _mesh(split, sizes)
    return element("div", mesh, _arrays(split, arrays, sizes), class_="sharding")


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


def _mesh(split: Split, sizes: Axes) -> Html:
    """The mesh as a table: the last axis goes along its rows."""
    *upper, last = list(sizes)
    rows: list[dict[str, int]] = [{}]
    for axis in upper:
        rows = [{**row, axis: index} for row in rows for index in range(sizes[axis])]
    parts = split.parts(sizes)
    corner = element("td", rowspan=2) if upper else None
    head = [
        element("tr", corner, element("th", last, scope="colgroup", colspan=sizes[last])),
        element("tr", [element("th", index, scope="col") for index in range(sizes[last])]),
    ]
    body = []
    for row in rows:
        name = " ".join(f"{axis} {index}" for axis, index in row.items())
        cells = []
        for index in range(sizes[last]):
            number = split.part({**row, last: index}, sizes)
            hue = round(360 * number / parts + 210) % 360
            words = "whole" if parts == 1 else f"{number}"
            cells.append(element("td", words, class_="chip", style=f"--hue:{hue}"))
        body.append(element("tr", element("th", name, scope="row") if upper else None, cells))
    return element(
        "table",
        element("caption", split_text(split, sizes)),
        element("thead", head),
        element("tbody", body),
        class_="mesh wide" if sizes[last] > 8 else "mesh",
    )


def _arrays(split: Split | None, arrays: Sequence[Array], sizes: Axes) -> Html:
    caption = element("caption", split_text(split, sizes), class_=None if split is None else "unseen")
    head = element("tr", [element("th", name, scope="col") for name in ("Array", "Whole", "Split", "On a chip")])
    rows = [_array_row(split, array, sizes) for array in arrays]
    return element("table", caption, element("thead", head), element("tbody", rows), class_="arrays")


def _array_row(split: Split | None, array: Array, sizes: Axes) -> Html:
    on_chip = "-"
    if split is not None and array.spec is not None:
        parts = [prod(sizes[axis] for axis in entry) for entry in array.spec]
        shape = [ceil(size / count) for size, count in zip(array.shape, parts, strict=True)]
        size = _bytes(array.dtype, shape)
        on_chip = _shape(shape) + ("" if size is None else f", {short_bytes(size)}")
    times = "" if array.count == 1 else f" × {array.count}"
    spec = "-" if array.spec is None else f"({', '.join('+'.join(entry) or '-' for entry in array.spec)})"
    return element(
        "tr",
        element("th", element("code", array.name), times, scope="row"),
        [element("td", text) for text in (f"{array.dtype}{_shape(array.shape)}", spec, on_chip)],
    )


def _shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _bytes(dtype: str, shape: Sequence[int]) -> int | None:
    bits = 8 if dtype == "bool" else int(match[1]) if (match := _BITS.match(dtype)) else None
    return None if bits is None else ceil(prod(shape) * bits / 8)
