"""jax's persistent compilation cache for simulated chips: a run loads what earlier runs compiled.

jax writes an entry in place, so a killed run leaves a partial one, and another process may read one that is being
written. Each process therefore works in a directory of its own, filled with hard links to the kept entries, and adds
what it compiled to the kept entries when it ends normally.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

# A cache that only grows would fill a CI machine's disk; the oldest entries go first.
MAX_BYTES = 2 * 1024**3
# Age of a killed run's directory; one of a run in another container may look the same, but is not that old.
_STALE_SECONDS = 24 * 3600
_PREFIX = "running-"
# An entry that has not changed for this long is complete.
_WRITTEN_SECONDS = 1.0


class CompileCache:
    """The entries kept in `directory`, and this process's working copy of them. Raises OSError if it cannot be used."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._before: dict[str, Any] = {}
        self._kept: set[str] = set()
        directory.mkdir(parents=True, exist_ok=True)
        remove_stale(directory)
        prune(directory, MAX_BYTES)
        self._working = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=directory))
        _link_entries(directory, self._working)

    def open(self, *, asked: bool) -> None:
        """Let jax use it. A cache directory that the user gave jax is kept, unless ours is `asked` for."""
        import jax

        if not asked and jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
            return
        settings = {
            "jax_compilation_cache_dir": str(self._working),
            # Otherwise jax puts the directory's path into XLA's options, and thereby into the key of every entry.
            "jax_persistent_cache_enable_xla_caches": "none",
            # jax's default of one second would exclude the programs of most tests.
            "jax_persistent_cache_min_compile_time_secs": 0.1,
        }
        for name, value in settings.items():
            self._before[name] = getattr(jax.config, name)
            jax.config.update(name, value)

    def keep(self) -> None:
        """Keep what has been compiled so far, in case this process crashes."""
        for path in self._working.glob("*-cache"):
            with suppress(OSError):
                if path.name not in self._kept and time.time() - path.stat().st_mtime > _WRITTEN_SECONDS:
                    self._kept.add(path.name)
                    os.link(path, self._directory / path.name)

    def remove_working(self, pid: int) -> None:
        """Remove the working directory that process `pid` left."""
        for path in self._directory.glob(f"{_PREFIX}{pid}-*"):
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Keep what was compiled, and restore jax's settings; called when the run ends normally."""
        _link_entries(self._working, self._directory)
        shutil.rmtree(self._working, ignore_errors=True)
        if self._before:
            import jax
            from jax.experimental.compilation_cache import compilation_cache

            for name, value in self._before.items():
                jax.config.update(name, value)
            # jax keeps using its first directory; another run in this process has another one.
            compilation_cache.reset_cache()


def _link_entries(source: Path, target: Path) -> None:
    """Make every entry of `source` appear atomically in `target`."""
    for path in source.glob("*-cache"):
        # Another run may have added or removed the same entry, or the disk may be full: then it is not kept.
        with suppress(OSError):
            os.link(path, target / path.name)


def prune(directory: Path, max_bytes: int) -> None:
    """Remove the oldest entries until `directory` holds at most `max_bytes`."""
    entries = []
    for path in directory.glob("*-cache"):
        with suppress(FileNotFoundError):
            status = path.stat()
            entries.append((status.st_mtime, status.st_size, path))
    excess = sum(size for _, size, _ in entries) - max_bytes
    for _, size, path in sorted(entries):
        if excess <= 0:
            break
        path.unlink(missing_ok=True)
        excess -= size


def remove_stale(directory: Path) -> None:
    """Remove the working directories of runs that ended without closing theirs."""
    for path in directory.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
