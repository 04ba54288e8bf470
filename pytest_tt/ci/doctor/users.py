"""Who uses the chips, and locks that nobody will release."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from typing import TYPE_CHECKING

from pytest_tt.ci.doctor.finding import blocks, ok
from pytest_tt.targets.detection import command_of, holders
from pytest_tt.targets.lock import lock_path, read_owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_tt.ci.doctor.finding import Finding
    from pytest_tt.targets.detection import Board, DetectedSystem

_WAIT = "tests wait for the chips, by default 600 s, and then give up"

# tt-umd device/api/umd/device/utils/robust_mutex.hpp: a pthread mutex in shared memory, a mark, and who has it.
_UMD_LOCK = "dev/shm/TT_UMD_LOCK.CHIP_IN_USE_{node}_PCIe"
_UMD_MARK = 0x5454554D444D5458
_UMD_TAIL = struct.Struct("=Qii")  # mark, thread, process
# <linux/futex.h>: the first word of a robust mutex is the owner's thread id with two flags.
_OWNER_DIED, _TID_MASK = 0x40000000, 0x3FFFFFFF


def look_at_users(root: Path, box: DetectedSystem) -> list[Finding]:
    """What is to be said of processes that have devices of `box` open, and of locks."""
    found = [*_processes(root, box), *_run_locks(root, box), *_library_locks(root, box)]
    if not found and box.boards:
        found.append(ok("users", "no other process uses the chips"))
    return found


def _processes(root: Path, box: DetectedSystem) -> Iterator[Finding]:
    by_pid: dict[int, list[str]] = {}
    for holder in holders(box, root):
        by_pid.setdefault(holder.pid, []).append(f"/dev/tenstorrent/{holder.chip}")
    for pid, nodes in by_pid.items():
        yield blocks(
            "users",
            f"process {pid} ({command_of(pid)}) has {', '.join(nodes)} open",
            _WAIT,
            f"wait for it, or end it (kill {pid}); if it is not of this container, look on the machine",
        )


def _run_locks(root: Path, box: DetectedSystem) -> Iterator[Finding]:
    """Locks of pytest-tt itself. The kernel frees them when the last process that inherited one is gone."""
    told: set[int | None] = set()
    for board in box.boards:
        path = lock_path(board, root)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise OSError(errno.EINVAL, "not a regular file")
        except FileNotFoundError:
            continue
        except OSError as error:
            yield blocks(
                "lock",
                f"{path} cannot be opened ({error.strerror})",
                "a run on the chips needs that lock",
                f"remove it while no tests run: sudo rm -r {path}",
            )
            continue
        try:
            owner = None if _is_free(descriptor) else read_owner(descriptor, board)
            inode = os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)
        if owner is None or owner.pid in told:
            continue
        told.add(owner.pid)
        if owner.pid is None or _alive(owner.pid):
            yield blocks("lock", f"another run has the chips: {owner}", _WAIT, "wait for it, or end it")
        else:
            heirs = _holders_of_lock(inode)
            who = ", ".join(f"{pid} ({command_of(pid)})" for pid in heirs) or "a process of another container"
            yield blocks(
                "lock",
                f"a stale lock: the run that took {board.path} (pid {owner.pid}) is gone, but {who} inherited its lock",
                "tests wait for a lock that no run will release",
                f"end what that run left behind{': kill ' + ' '.join(map(str, heirs)) if heirs else ''}",
            )


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _holders_of_lock(inode: int) -> list[int]:
    """Processes that have the file of `inode` open, other than this one, as far as /proc tells."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            links = [os.stat(f"/proc/{name}/fd/{entry}") for entry in os.listdir(f"/proc/{name}/fd")]
        except OSError:  # gone, or another user's
            continue
        if any(link.st_ino == inode for link in links):
            found.append(int(name))
    return sorted(found)


def _library_locks(root: Path, box: DetectedSystem) -> Iterator[Finding]:
    """Locks of Tenstorrent's library whose owner is gone without the kernel having noticed."""
    for board in box.boards:
        path = root / _UMD_LOCK.format(node=board.node)
        owner = _library_owner(path)
        if owner is not None and not _alive(owner):
            yield blocks(
                "lock",
                f"a stale lock: by {_shown(board)} process {owner} uses {board.path}, and there is no such process",
                "Tenstorrent's library waits for it for ever, and says so only in its log",
                f"if tt-smi shows no such process on the machine either: rm {_shown(board)}",
            )


def _shown(board: Board) -> str:
    return "/" + _UMD_LOCK.format(node=board.node)


def _library_owner(path: Path) -> int | None:
    """The process that has the mutex at `path`; None where nobody has, or where the next one gets it all the same."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < 4 + _UMD_TAIL.size:
        return None
    mark, _, process = _UMD_TAIL.unpack_from(data, len(data) - _UMD_TAIL.size)
    (word,) = struct.unpack_from("=I", data)
    if mark != _UMD_MARK or not word & _TID_MASK or word & _OWNER_DIED or process <= 0:
        return None
    return int(process)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
