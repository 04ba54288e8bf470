"""Emulated programs as jax traced and lowered them, kept on disk: that takes longer than all else of a repeated call.

What XLA makes of them is in jax's own cache.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.export

from pytest_tt.kept_files import KeptFiles
from pytest_tt.packages import package_version

if TYPE_CHECKING:
    from collections.abc import Sequence

# The largest of the tiny models has 0.1 MB here.
MAX_BYTES = 1 << 28
_FORMAT = "1"
_PLATFORM = "cpu"  # to XLA, simulated chips are
# Lines of source: they change nothing that is computed.
_LOCATION = re.compile(r" ?loc\(#loc\d*\)|^#loc.*\n?", re.MULTILINE)


class Exports:
    """Programs in `directory`. What was not written whole is not there."""

    def __init__(self, directory: Path) -> None:
        self._files = KeptFiles(directory, ".jax", MAX_BYTES)

    def get(self, key: str) -> jax.export.Exported | None:
        """What was kept under `key`, None if nothing was."""
        content = self._files.read(key)
        if content is None:
            return None
        try:
            return jax.export.deserialize(bytearray(zlib.decompress(content)))
        except zlib.error:
            self._files.remove(key)
            return None

    def put(self, key: str, jitted: Any, arrays: Sequence[Any]) -> jax.export.Exported | None:
        """Lower `jitted` for `arrays` and keep it; None for what jax cannot write down."""
        try:
            exported = jax.export.export(jitted, platforms=[_PLATFORM])(*arrays)
            content = exported.serialize()
        except (ValueError, NotImplementedError):
            return None
        self._files.write(key, zlib.compress(content, 1))
        return exported


def export_key(ttnn: str, *settings: object) -> str:
    """The name of an emulated program and of all that its lowering depends on. `settings`: what else, by its repr."""
    wide = bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
    parts = [
        _FORMAT, _source(), package_version("jax"), package_version("jaxlib"), wide, [repr(each) for each in settings],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode() + b"\0" + _LOCATION.sub("", ttnn).encode()).hexdigest()


@functools.cache
def _source() -> str:
    """A digest of what says how a program is read and executed."""
    package = Path(__file__).parent.parent
    files = sorted(path for room in ("emulator", "tt_compiler") for path in (package / room).rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
