"""How a row writes down an array and its sharding: one short line of text.

``float32[24,32] (-,model) x12 params/layer_*/kernel`` are twelve arrays whose names differ in the numbers that ``*``
stands for; their first dimension is whole, their second is split over the mesh axis ``model``. ``batch+model`` splits
one dimension over two axes, ``?`` is a sharding that mesh axes do not tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WHOLE, _UNKNOWN = "-", "?"
_AXIS = re.compile(r"\w+")
_FORM = re.compile(
    r"(?P<dtype>[^\s\[]+)\[(?P<shape>[0-9,]*)\] (?P<spec>\([\w,+-]*\)|\?) x(?P<count>[1-9][0-9]*) (?P<name>.*)"
)

EXPECTED = "an array such as 'float32[24,32] (-,model) x12 params/layer_*/kernel'"


@dataclass(frozen=True, slots=True)
class Array:
    """Arrays of one kind. spec: per dimension the mesh axes that split it, none for a whole one; None: not known."""

    name: str
    count: int
    dtype: str
    shape: tuple[int, ...]
    spec: tuple[tuple[str, ...], ...] | None

    def __str__(self) -> str:
        spec = _UNKNOWN
        if self.spec is not None and all(_AXIS.fullmatch(axis) for entry in self.spec for axis in entry):
            spec = f"({','.join('+'.join(entry) or _WHOLE for entry in self.spec)})"
        name = " ".join(self.name.split())
        return f"{self.dtype}[{','.join(map(str, self.shape))}] {spec} x{self.count} {name}"

    @classmethod
    def parse(cls, text: str) -> Array:
        """Read what ``str`` wrote. Raises ValueError for anything else."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no array: expected {EXPECTED}")
        shape = tuple(int(size) for size in match["shape"].split(",") if size)
        spec = None
        if match["spec"] != _UNKNOWN:
            entries = [entry for entry in match["spec"][1:-1].split(",") if entry]
            spec = tuple(() if entry == _WHOLE else tuple(entry.split("+")) for entry in entries)
            if len(spec) != len(shape):
                raise ValueError(f"{text!r} is no array: its spec has {len(spec)} dimensions, its shape {len(shape)}")
        return cls(match["name"], int(match["count"]), match["dtype"], shape, spec)
