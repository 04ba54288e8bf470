"""The child as its parent sees it: start it, send and receive messages, find out how it crashed, and end it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.isolation.channel import Channel
from pytest_tt.isolation.crash import (
    Crash,
    describe_exit,
    ended_by_timeout,
    head,
    memory_of,
    readable_dump,
    readable_stacks,
    tail,
)
from pytest_tt.isolation.options import CHILD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_tt.isolation.channel import Message

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
# How often a child is checked while it sends nothing.
POLL_S = 0.2
# How long a hung child may take to dump its stacks.
_DUMP_S = 1.0
# How long the kernel may take to end a process that has closed its connection, e.g. to write a core file.
_EXIT_S = 10.0


class CrashedError(Exception):
    """The child has ended, or has closed its end of the connection."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a child needs to collect the same tests as its parent."""

    args: tuple[str, ...]
    """pytest's command line."""
    directory: str
    """The directory in which pytest was started."""
    workerinput: Mapping[str, object]
    """What other plugins find as ``config.workerinput``."""
    colour: bool
    """Whether the terminal shows colours."""
    coverage: Message | None
    """How to measure coverage, see `SharedCoverage`; None to measure nothing."""
    warm: bool
    """Whether to start jax before a test asks for it."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that differ from the parent's."""
    keep_open: tuple[int, ...] = ()
    """Descriptors that the child inherits: locks of the chips."""
    directories: tuple[str, ...] = ()
    """Temporary directories of this child, removed when it has ended."""


class Child:
    """A process that runs tests; `forget` is called when it has ended. Raises OSError if it cannot be started."""

    def __init__(self, start: Start, forget: Callable[[int], None]) -> None:
        self._start = start
        self._forget = forget
        self._dump = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._terminal = tempfile.TemporaryFile()  # noqa: SIM115
        self._dumped = 0
        self._output: list[int] = []
        self._memory = ""
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_interpreter_options(), str(_BOOTSTRAP), str(theirs.fileno())],
                cwd=start.directory,
                env={**os.environ, **start.environ},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), self._dump.fileno(), self._terminal.fileno(), *start.keep_open),
                # A process group of its own: the parent handles Ctrl-C, and ends what a test started together with it.
                start_new_session=True,
            )
        except BaseException:
            self.channel.close()
            self._dump.close()
            self._terminal.close()
            raise
        finally:
            theirs.close()
        self.used = False
        """Whether it got anything to do."""
        self.last_words = ""
        """What it said before it ended."""
        self.leaving = False
        """Whether it has announced that it ends."""
        with suppress(OSError):  # it crashed at once: `receive` finds out
            self.channel.send(
                {
                    "path": sys.path,
                    "argv": sys.argv,
                    "args": start.args,
                    "plugin": CHILD,
                    "workerinput": start.workerinput,
                    "colour": start.colour,
                    "coverage": start.coverage,
                    "warm": start.warm,
                    "dump": self._dump.fileno(),
                    "terminal": self._terminal.fileno(),
                    "parent": os.getpid(),
                }
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def begin_test(self) -> None:
        """Forget the dumps of earlier tests."""
        self.used = True
        self._memory = memory_of(self.pid)
        self._dumped = os.fstat(self._dump.fileno()).st_size

    def send(self, message: Message) -> None:
        """Send `message`. Raises CrashedError."""
        try:
            self.channel.send(message)
        except OSError:
            raise CrashedError from None

    def receive(self, deadline: float | None) -> Message | None:
        """The next message; None if there is none by `deadline` (of time.monotonic). Raises CrashedError."""
        while True:
            wait = POLL_S if deadline is None else max(0.0, min(POLL_S, deadline - time.monotonic()))
            try:
                message = self.channel.receive(wait)
                self._output += self.channel.take_descriptors()
                if message is not None:
                    return message
                # A process that the test forked may hold the connection open after the child has crashed.
                if self._process.poll() is not None:
                    raise EOFError
            except EOFError:
                raise CrashedError from None
            self._memory = memory_of(self.pid) or self._memory
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def crash(self) -> Crash:
        """How the child crashed. Call after CrashedError."""
        memory = ""
        try:
            status = self._process.wait(_EXIT_S)
            how = describe_exit(status)
            memory = self._memory if status == -signal.SIGKILL else ""
        except subprocess.TimeoutExpired:
            how = "closed the connection to the process that started it (file descriptors that are not its own)"
        terminal = tail(self._terminal.fileno(), readable_stacks)
        how = self.last_words or ended_by_timeout(terminal) or how
        crash = Crash(how, memory, self._read_dump(), self._read_output(), terminal)
        self.kill()
        return crash

    def end_hung(self, how: str, grace_s: float) -> Crash:
        """End a child that exceeded a time limit, and say where it was; `how` goes into the `Crash`."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        limit = time.monotonic() + _DUMP_S
        while not self._read_dump() and time.monotonic() < limit and self._process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.02)  # a dump of several threads is written line by line
        crash = Crash(how, "", self._read_dump(), self._read_output())
        self.end(grace_s)
        return crash

    def finish(self, grace_s: float) -> str | None:
        """Let an idle child end properly; returns how it crashed, if it did."""
        with suppress(OSError):
            self.channel.send({"do": "end"})
        try:
            status = self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.end(POLL_S)
            return f"did not end within {grace_s:g} s and was killed"
        finally:
            self.kill()
        return describe_exit(status) if status < 0 else None

    def end(self, grace_s: float) -> None:
        """Interrupt the child as Ctrl-C would, so that it closes its chips; kill it if it does not end in time."""
        try:
            if self._process.poll() is None:
                if not self.leaving:
                    self._process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(grace_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the child and everything in its process group at once, and free what was kept for it."""
        if self._dump.closed:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self.channel.close()
        self._dump.close()
        self._terminal.close()
        while self._output:
            os.close(self._output.pop())
        for directory in self._start.directories:
            shutil.rmtree(directory, ignore_errors=True)
        self._forget(self.pid)

    def _read_dump(self) -> str:
        return readable_dump(head(self._dump.fileno(), self._dumped))

    def _read_output(self) -> tuple[tuple[str, str], ...]:
        self._output += self.channel.take_descriptors()
        return tuple((name, tail(fd)) for name, fd in zip(("stdout", "stderr"), self._output, strict=False))


def _interpreter_options() -> list[str]:
    """Options of this interpreter that change what a test sees."""
    options = [f"-W{option}" for option in sys.warnoptions]
    options += ["-O"] * sys.flags.optimize
    options += ["-Xdev"] * sys.flags.dev_mode
    return options
