"""The shape of an argument as a word of a command line: ``f32[8,128]:batch,None``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FORM = re.compile(r"(?P<dtype>\w+)\[(?P<shape>[0-9,]*)\](?::(?P<spec>[\w,+-]*))?")
_SHORT = {"f": "float", "i": "int", "s": "int", "u": "uint", "c": "complex"}
_NAMES = {"bf16": "bfloat16", "bool": "bool", "pred": "bool"}
_WHOLE = ("None", "-", "")


@dataclass(frozen=True, slots=True)
class ArgumentShape:
    """An array that is only a shape: dtype by its full name, and for each dimension the mesh axes that split it."""

    dtype: str
    shape: tuple[int, ...]
    spec: tuple[tuple[str, ...], ...]
    text: str = field(default="", compare=False)
    """As it was given."""

    @classmethod
    def parse(cls, text: str) -> ArgumentShape:
        """Read ``f32[8,128]:batch,None``. Raises ValueError with one line that says what is accepted."""
        match = _FORM.fullmatch(text.replace(", ", ","))
        if match is None:
            raise ValueError(
                f"{text!r} is not a shape: expected DTYPE[DIMENSIONS], with the mesh axis of each dimension if it is "
                "split, e.g. f32[8,128]:batch,None"
            )
        shape = tuple(int(size) for size in match["shape"].split(",") if size)
        entries = [] if match["spec"] is None else match["spec"].split(",")
        spec = tuple(() if entry in _WHOLE else tuple(entry.split("+")) for entry in entries)
        if len(spec) > len(shape):
            raise ValueError(f"{text!r}: names {len(spec)} mesh axes for {len(shape)} dimensions: give one for each")
        return cls(_full_name(match["dtype"]), shape, spec, text)


def _full_name(dtype: str) -> str:
    """``float32`` of ``f32``; other names stay as they are."""
    if dtype in _NAMES:
        return _NAMES[dtype]
    match = re.fullmatch(r"([fisuc])(\d+)", dtype)
    return dtype if match is None else f"{_SHORT[match[1]]}{match[2]}"
