"""Files that are kept between runs as long as there is room for them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_tt.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

# A temporary file that is older was left by a process that was killed.
_STALE_S = 3600.0


class KeptFiles:
    """Files in `directory`, each under a key; the oldest go first once they have more than `max_bytes` bytes.

    What cannot be read is not there; what cannot be written is not kept.
    """

    def __init__(self, directory: Path, suffix: str, max_bytes: int) -> None:
        self.directory = directory
        self._suffix = suffix
        self._max_bytes = max_bytes
        self._size: int | None = None

    def read(self, key: str) -> bytes | None:
        """What was kept under `key`, None if nothing was."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)  # used: not one of the oldest
        return content

    def write(self, key: str, content: bytes) -> None:
        """Keep `content` under `key`, and remove the oldest if there are too many."""
        with suppress(OSError):
            write_atomically(self._path(key), content)
            if self._size is not None:
                self._size += len(content)
            if self._size is None or self._size > self._max_bytes:
                self.prune()

    def remove(self, key: str) -> None:
        """Remove what is kept under `key`, if anything is."""
        with suppress(OSError):
            self._path(key).unlink()

    def prune(self) -> None:
        """Remove the oldest until the rest has at most the number of bytes given, and what was left half."""
        entries = []
        for path in self.directory.glob(f"*{self._suffix}"):
            with suppress(OSError):
                status = path.stat()
                entries.append((status.st_mtime, status.st_size, path))
        self._size = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if self._size <= self._max_bytes:
                break
            with suppress(OSError):
                path.unlink()
                self._size -= size
        for path in self.directory.glob(".*.tmp"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}{self._suffix}"
