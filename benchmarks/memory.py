"""Peak memory of this process while something runs (Linux)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes above what the process had before: of private memory, and of all that was resident, file pages included."""

    anonymous: int
    resident: int


def peak_of(action: Callable[[], object]) -> Peak:
    """Run `action`, and measure its peak memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins here
    before, seen, done = _memory(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            seen.append(_memory()["RssAnon"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        action()
    finally:
        done.set()
        watcher.join()
    after = _memory()
    return Peak(max(*seen, after["RssAnon"]) - before["RssAnon"], after["VmHWM"] - before["VmRSS"])


def _memory() -> dict[str, int]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split()[0][:-1]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("Rss", "Vm"))}


def highest() -> int:
    """Bytes of the largest resident memory of this process so far, including file pages."""
    return _memory()["VmHWM"]


def available() -> int:
    """Bytes of memory that is available on this machine without swapping."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def is_in_memory(path: Path) -> bool:
    """Whether files at `path` would take memory, because its file system is a RAM disk."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(point), kind) for point, kind in mounts if Path(point) in (path, *path.parents)]
    return max(above, default=(0, ""))[1] in ("tmpfs", "ramfs")
