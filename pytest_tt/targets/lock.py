"""One pytest run at a time on the same chips: a queue that says who holds them instead of hanging.

The native client would wait for a busy chip for ever and without a word a user sees. ``flock`` is used
directly rather than through filelock: a run needs one lock per board with the owner's name readable in the
same file, and the kernel drops a flock when the last process that inherited it is gone, however it died. Lock
files are never removed, because removing one would let two runs hold "the" lock on different files of the
same name.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import shlex
import stat
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.targets.detection import Board, DetectedSystem, command_of, device_root, holders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

POLL_S = 0.2
REPEAT_S = 30.0


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a board, as far as the lock file or the driver tells."""

    board: Board
    pid: int | None = None
    user: str | None = None
    command: str | None = None
    since: str | None = None

    def __str__(self) -> str:
        facts = [f"user {self.user}"] if self.user else []
        facts += [self.command] if self.command else []
        facts += [f"since {self.since}"] if self.since else []
        who = f"pid {self.pid}" if self.pid is not None else "another process"
        return f"{self.board.path} is held by {who}" + (f" ({', '.join(facts)})" if facts else "")


class ChipLock:
    """The right to use the chips of `detected`, board by board, until released or until this process ends.

    Runs that see different boards (TT_VISIBLE_DEVICES) do not wait for each other. `timeout_s` is how long to
    wait, `say` gets every message for the user, `root` is where the machine's directories are.
    """

    def __init__(
        self, detected: DetectedSystem, *, timeout_s: float, root: Path | None = None, say: Callable[[str], None]
    ) -> None:
        self._detected = detected
        self._timeout_s = timeout_s
        self._root = device_root(root)
        self._say = say
        self._held: list[int] = []
        self._started = 0.0
        self._said = -1.0  # seconds into the wait at the last message, negative before the first

    @property
    def held(self) -> bool:
        """Whether this process has the chips."""
        return bool(self._held)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open lock files: a process that inherits them keeps the chips when this one is gone."""
        return tuple(self._held)

    def acquire(self) -> None:
        """Wait for the chips. Raises TimeoutError that says who still holds them, OSError without a lock file."""
        if self._held:
            return
        self._started, self._said = time.monotonic(), -1.0
        try:
            # All runs take the boards in the same order, so that two of them cannot wait for each other.
            for board in sorted(self._detected.boards, key=lambda board: (board.bdf or "", board.node)):
                self._take(board)
            self._wait_for_strangers()
        except BaseException:
            self.release()
            raise
        if self._said >= 0:
            self._say(f"tt: got {self._detected.description} after {self._waited():.0f} s")

    def release(self) -> None:
        """Give the chips back; nothing happens if they are not held."""
        while self._held:
            descriptor = self._held.pop()
            try:
                _write_owner(descriptor, "")
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                os.close(descriptor)

    def __enter__(self) -> ChipLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self, board: Board) -> None:
        descriptor = _open(self._path(board))
        try:
            while not _try_lock(descriptor):
                self._wait_once((read_owner(descriptor, board),))
            _write_owner(descriptor, _own_facts())
        except BaseException:
            os.close(descriptor)
            raise
        self._held.append(descriptor)

    def _wait_for_strangers(self) -> None:
        """Wait for processes that use the chips without our lock: other tools, runs in other containers."""
        boards = {board.node: board for board in self._detected.boards}
        while found := holders(self._detected, self._root):
            self._wait_once(tuple(Owner(boards[who.chip], who.pid, command=who.command) for who in found))

    def _wait_once(self, owners: tuple[Owner, ...]) -> None:
        waited = self._waited()
        # One line however many boards one process holds.
        by_pid = {owner.pid: owner for owner in reversed(owners)}
        who = "; ".join(str(owner) for owner in reversed(by_pid.values()))
        ours = set(by_pid) & {os.getpid(), *_ancestors()}
        if ours:
            raise TimeoutError(
                f"{self._detected.description}: {who}; that is this process or one that started it, so waiting "
                "would never end: run tests that need the chips in one process, or use --tt-backend sim here"
            )
        if waited >= self._timeout_s:
            raise TimeoutError(
                f"{self._detected.description}: {who}; gave up after {waited:.0f} s: wait for that process or end "
                "it, let this run wait longer with --tt-lock-timeout, or use other boards with "
                "TT_VISIBLE_DEVICES"
            )
        if self._said < 0 or waited - self._said >= REPEAT_S:
            self._said = waited
            self._say(
                f"tt: waiting for {self._detected.description}: {who}; waited {waited:.0f} s, "
                f"giving up in {self._timeout_s - waited:.0f} s"
            )
        time.sleep(min(POLL_S, max(self._timeout_s - waited, 0.01)))

    def _waited(self) -> float:
        return time.monotonic() - self._started

    def _path(self, board: Board) -> Path:
        path = lock_path(board, self._root)
        path.parent.mkdir(exist_ok=True)
        return path


def lock_path(board: Board, root: Path) -> Path:
    """The lock file of `board` on the machine whose directories are below `root`."""
    # Not tempfile.gettempdir(): runs with a TMPDIR of their own (which TT's client needs to run beside another) must
    # still find each other.
    name = (board.bdf or f"node{board.node}").replace(":", "-")
    return root / "tmp" / f"pytest-tt-{name}.lock"


def _open(path: Path) -> int:
    """A descriptor of `path` that can be locked, writable where possible. Raises OSError naming the path."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    for attempt in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            descriptor = os.open(path, flags | attempt, 0o666)
        except (FileNotFoundError, PermissionError):
            # Without O_CREAT first: kernels with fs.protected_regular refuse it for a file of another user in
            # /tmp.
            continue
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if attempt & os.O_CREAT:
            os.fchmod(descriptor, 0o666)  # whatever the umask: every user of the box takes part in the queue
        return descriptor
    raise PermissionError(errno.EACCES, "cannot open or create the lock file", str(path))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own_facts() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    facts = {
        "pid": os.getpid(),
        "user": user,
        "command": _own_command(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    return json.dumps(facts) + "\n"


def _own_command() -> str:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and sys.argv == ["-c"]:  # a snippet of Python: the pytest that started this worker says more
        return f"{command_of(os.getppid())}, worker {worker}"
    return shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])


def _write_owner(descriptor: int, text: str) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError:
        # Opened for reading only, or the disk is full: the lock holds all the same, only its text is missing.
        pass


def read_owner(descriptor: int, board: Board) -> Owner:
    """Who wrote himself into the lock file of `board` that is open as `descriptor`; unknown where it does not tell."""
    try:
        facts = json.loads(os.pread(descriptor, 65536, 0))
        pid = int(facts["pid"])
        return Owner(board, pid, str(facts["user"]), str(facts["command"]), str(facts["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Owner(board)


def _ancestors() -> tuple[int, ...]:
    """The process that started this one, the one that started that, and so on, as far as /proc tells."""
    found: list[int] = []
    pid = os.getppid()
    while pid > 1 and pid not in found:
        found.append(pid)
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return tuple(found)
