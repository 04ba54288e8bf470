"""The arrays of a row: which arrays its programs take, and which mesh axes each is spread over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pytest_tt.results.row import Row


@dataclass(frozen=True, slots=True)
class Array:
    """Arrays of one kind: `count` of them, whose names differ in the numbers that ``*`` stands for."""

    name: str
    count: int
    dtype: str
    shape: tuple[int, ...]
    spec: tuple[tuple[str, ...], ...] | None
    """For each dimension the mesh axes that split it, none for a whole one; None: the sharding is not given by axes."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        spec = None if self.spec is None else [list(entry) for entry in self.spec]
        return {**asdict(self), "shape": list(self.shape), "spec": spec}


Placement: TypeAlias = tuple[Mapping[str, int] | None, Sequence[Array]]
"""Mesh axes (name -> size), None where shardings are not given by axes, and the arrays placed by them."""

_WHOLE, _UNKNOWN = "-", "?"
_FORM = re.compile(
    r"(?P<dtype>[^\s\[]+)\[(?P<shape>[0-9,]*)\] (?P<spec>\([\w,+-]*\)|\?) x(?P<count>[1-9][0-9]*) (?P<name>.*)"
)


def placements_of(row: Row) -> list[Placement]:
    """What ``placements`` of `row` says; of a row of an earlier version, what ``shardings`` says."""
    if row.placements is not None:
        return [(group["axes"], [_from_json(entry) for entry in group["arrays"]]) for group in row.placements]
    return [(group["axes"], [parse_text(text) for text in group["arrays"]]) for group in row.shardings or ()]


def _from_json(entry: Mapping[str, Any]) -> Array:
    spec = None if entry["spec"] is None else tuple(map(tuple, entry["spec"]))
    return Array(entry["name"], entry["count"], entry["dtype"], tuple(entry["shape"]), spec)


def parse_text(text: str) -> Array:
    """Read the line of text with which earlier versions wrote an array down. Raises ValueError for anything else.

    ``float32[24,32] (-,model) x12 params/layer_*/kernel``: twelve arrays, their first dimension whole, their second
    split over the mesh axis ``model``. ``batch+model`` splits one dimension over two axes; ``?``: not given by axes.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an array: expected DTYPE[SHAPE] (SPEC) xCOUNT NAME")
    shape = tuple(int(size) for size in match["shape"].split(",") if size)
    spec = None
    if match["spec"] != _UNKNOWN:
        entries = [entry for entry in match["spec"][1:-1].split(",") if entry]
        spec = tuple(() if entry == _WHOLE else tuple(entry.split("+")) for entry in entries)
        if len(spec) != len(shape):
            raise ValueError(f"{text!r} is not an array: its spec has {len(spec)} dimensions, its shape {len(shape)}")
    return Array(match["name"], int(match["count"]), match["dtype"], shape, spec)
