"""What TT's compiler made of a program: the texts of two stages, and its log."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

# tt-xla python_package/ttxla_tools/serialization.py: the mark, then offset and size of TTIR, TTNN and flatbuffer, from
# the end of this header. jax 0.8 and later put one of their own before it.
_MARK = b"TTSERv00"
_SECTIONS = struct.Struct("<6Q")
# Our own: what the executable says beside its bytes comes after them.
_MORE = b"\0pytest-tt "


@dataclass(frozen=True, slots=True)
class Split:
    """How a result is split among the chips: into how many `parts` in each dimension, and for each chip, row by row,
    which of them it `holds`. Both are empty if all chips hold all of it."""

    parts: tuple[int, ...] = ()
    holds: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Artifact:
    """What the compiler made of one program, and what it printed meanwhile."""

    ttir: str = field(repr=False)
    ttnn: str = field(repr=False)
    log: str = field(default="", repr=False)
    outputs: tuple[Split, ...] | None = field(default=None, repr=False)
    """Of each result; None if that is not known, as on a single chip."""


def serialized(executable: Any) -> bytes:
    """The bytes of a loaded executable of jaxlib: newer versions ask the executable, that of jax 0.7 its client."""
    if hasattr(executable, "serialize"):
        return bytes(executable.serialize())
    return bytes(executable.client.serialize_executable(executable))


def with_outputs(raw: bytes, outputs: object) -> bytes:
    """A serialized executable, and how its results are split, as `Split` or as lists."""
    return raw + _MORE + outputs_to_json(outputs)


def outputs_to_json(outputs: object) -> bytes:
    """For `outputs_from_json`."""
    if outputs is None:
        return b"null"
    pairs = [[split.parts, split.holds] if isinstance(split, Split) else split for split in outputs]  # type: ignore[attr-defined]
    return json.dumps(pairs).encode()


def outputs_from_json(content: bytes) -> tuple[Split, ...] | None:
    """How results are split. Raises ValueError for other content."""
    pairs = json.loads(content)
    if pairs is None:
        return None
    return tuple(Split(tuple(parts), tuple(map(tuple, holds))) for parts, holds in pairs)


def split_serialized(raw: bytes) -> Artifact:
    """The artifact inside a serialized executable. Raises ValueError if it does not hold one, or not a whole one."""
    at = raw.find(_MARK)
    if at < 0:
        raise ValueError(f"no {_MARK.decode()} in {len(raw)} bytes: expected an executable of TT's compiler")
    start = at + len(_MARK) + _SECTIONS.size
    if len(raw) < start:
        raise ValueError(f"{_MARK.decode()} is cut off after {len(raw) - at} bytes")
    numbers = _SECTIONS.unpack_from(raw, at + len(_MARK))
    parts = []
    for offset, size in zip(numbers[::2], numbers[1::2], strict=True):
        if start + offset + size > len(raw):
            raise ValueError(f"a section ends at byte {start + offset + size} of {len(raw)}: the executable is cut off")
        parts.append(raw[start + offset : start + offset + size])
    ttir, ttnn, _ = parts
    end = start + max(offset + size for offset, size in zip(numbers[::2], numbers[1::2], strict=True))
    more = raw.find(_MORE, end)
    outputs = outputs_from_json(raw[more + len(_MORE) :]) if more >= 0 else None
    return Artifact(ttir.decode("utf-8", "replace"), ttnn.decode("utf-8", "replace"), outputs=outputs)
