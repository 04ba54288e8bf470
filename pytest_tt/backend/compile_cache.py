"""jax's persistent compilation cache for simulated chips: what a run compiled, the next one loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# A cache that only grows would fill a CI machine's disk; the oldest entries go first.
MAX_BYTES = 2 * 1024**3


def use(directory: Path, *, asked: bool) -> None:
    """Let jax keep compiled programs in `directory`; a place that the user told jax stays, unless `asked` for ours."""
    import jax

    if not asked and jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    directory.mkdir(parents=True, exist_ok=True)
    prune(directory, MAX_BYTES)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    # jax's own lower limit of one second would leave most tests' programs out.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def prune(directory: Path, max_bytes: int) -> None:
    """Remove the oldest entries until `directory` holds at most `max_bytes`."""
    entries = []
    for path in directory.glob("*-cache"):
        try:
            status = path.stat()
        except OSError:  # another run has just removed it
            continue
        entries.append((status.st_mtime, status.st_size, path))
    excess = sum(size for _, size, _ in entries) - max_bytes
    for _, size, path in sorted(entries):
        if excess <= 0:
            break
        path.unlink(missing_ok=True)
        excess -= size
