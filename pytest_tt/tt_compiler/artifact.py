"""What TT's compiler made of a program: the texts of two stages, and its log."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

# tt-xla python_package/ttxla_tools/serialization.py: the mark, then offset and size of TTIR, TTNN and flatbuffer, from
# the end of this header. jax 0.8 and later put one of their own before it.
_MARK = b"TTSERv00"
_SECTIONS = struct.Struct("<6Q")


@dataclass(frozen=True)
class Artifact:
    """What the compiler made of one program, and what it printed meanwhile."""

    ttir: str = field(repr=False)
    ttnn: str = field(repr=False)
    log: str = field(default="", repr=False)


def serialized(executable: Any) -> bytes:
    """The bytes of a loaded executable of jaxlib: newer versions ask the executable, that of jax 0.7 its client."""
    if hasattr(executable, "serialize"):
        return bytes(executable.serialize())
    return bytes(executable.client.serialize_executable(executable))


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
    return Artifact(ttir.decode("utf-8", "replace"), ttnn.decode("utf-8", "replace"))
