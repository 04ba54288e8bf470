"""Description of a child's crash: signal or exit status, where it was, and its last output."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_LINES = 40
_MOST_BYTES = 1 << 14

_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+)')
_THREAD = re.compile(r"(Current thread|Thread) 0x")
_OURS = re.compile(
    r"/(_pytest|pluggy|pytest_tt/isolation)/|/pytest_tt/interrupt\.py|<frozen runpy>|/pytest/__main__\.py"
)
# pytest-timeout's thread method, and what it calls the stack of the thread in which the test runs.
_TIMEOUT = re.compile(r"\++ Timeout \++$", re.MULTILINE)
_TEST_STACK = re.compile(r"~+ Stack of MainThread [^\n]*~\n(?P<stack>.*?)(?=^[~+]{3}|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Crash:
    """A child that ended, or was ended, in the middle of a test."""

    how: str
    """For example ``crashed with SIGABRT (Aborted)`` or ``timed out after 5 s``; the same for every such crash."""
    memory: str = ""
    """How much memory the child used when last measured, if that may be the cause."""
    dump: str = ""
    """faulthandler's dump: the stack of each thread."""
    output: tuple[tuple[str, str], ...] = ()
    """Stream (``stdout``, ``stderr``) and what was captured since the current stage of the test began."""
    terminal: str = ""
    """What a plugin wrote to the terminal while the test ran."""

    def text(self, where: str, seconds: float) -> str:
        """The failure text of a test that was `where`; its first line is the summary."""
        facts = f"{seconds:.1f} s after the test began" + (f"; {self.memory}" if self.memory else "")
        parts = [f"{self.how} {where}", facts]
        if self.dump:
            parts.append("Where it was:\n" + self.dump)
        if self.terminal:
            parts.append("Last output (terminal):\n" + self.terminal)
        parts += [f"Last output ({stream}):\n{text}" for stream, text in self.output if text]
        if len(parts) == 2:
            parts.append("It left no traceback and no captured output.")
        return "\n\n".join(parts)


def describe_exit(status: int) -> str:
    """The exit `status` of a process (negative: the signal that ended it) as the beginning of a sentence."""
    if status >= 0:
        return f"ended its process with exit status {status} (os._exit, or exit in native code)"
    number = -status
    with suppress(ValueError):
        name = signal.Signals(number).name
        text = f"crashed with {name} ({signal.strsignal(number)}"
        if number == signal.SIGKILL:
            text += ", not by this run: perhaps out of memory"
        return text + ")"
    return f"crashed with signal {number}"


def readable_dump(text: str) -> str:
    """faulthandler's `text` without the frames of pytest below a test, and without the list of extension modules."""
    lines: list[str] = []
    below = False
    for line in text.splitlines():
        if _THREAD.match(line):
            below = False
        elif line.startswith("Extension modules:"):
            continue
        elif _FRAME.match(line):
            if _OURS.search(line):
                below = True
            if below:
                continue
        lines.append(line)
    lines = _without_empty_threads(lines)
    # The innermost frames come first.
    return "\n".join(lines[:MOST_LINES] + ["  […]"] * (len(lines) > MOST_LINES)).strip()


def readable_stacks(text: str) -> str:
    """Stacks in `text`, as Python's traceback module formats them, without the frames of pytest below a test."""
    lines: list[str] = []
    below = False
    for line in text.splitlines():
        if _FRAME.match(line):
            below = _OURS.search(line) is not None
        elif not line.startswith("    "):  # source lines belong to their frame
            below = False
        if not below:
            lines.append(line.rstrip())
    return "\n".join(lines).strip()


def ended_by_timeout(terminal: str) -> str | None:
    """How pytest-timeout ended a child, by what it wrote on the `terminal`; None if it did not."""
    if not _TIMEOUT.search(terminal):
        return None
    stack = _TEST_STACK.search(terminal)
    frames = [] if stack is None else list(_FRAME.finditer(stack["stack"]))
    place = f" at {os.path.basename(frames[-1]['file'])}:{frames[-1]['line']}" if frames else ""
    return f"was ended by pytest-timeout{place}"


def _without_empty_threads(lines: Iterable[str]) -> list[str]:
    """Drop the headings of threads without frames."""
    kept: list[str] = []
    for line in lines:
        if kept and _THREAD.match(kept[-1]) and not _FRAME.match(line):
            kept.pop()
        kept.append(line)
    if kept and _THREAD.match(kept[-1]):
        kept.pop()
    return kept


def head(descriptor: int, start: int) -> str:
    """The file behind `descriptor` from offset `start` on, as much as is worth reading; its position stays."""
    return os.pread(descriptor, 4 * _MOST_BYTES, start).decode(errors="replace")


def tail(descriptor: int, clean: Callable[[str], str] = str) -> str:
    """The last lines of the file behind `descriptor`, after `clean`; its position stays."""
    with suppress(OSError):
        size = os.fstat(descriptor).st_size
        text = os.pread(descriptor, _MOST_BYTES, max(0, size - _MOST_BYTES)).decode(errors="replace")
        lines = clean(text).splitlines()
        if size > _MOST_BYTES or len(lines) > MOST_LINES:
            return "\n".join(["[…]", *lines[-MOST_LINES:]])
        return "\n".join(lines).rstrip()
    return ""


def memory_of(pid: int) -> str:
    """How much memory process `pid` uses and how much is available; empty if /proc does not say."""
    page = os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            resident = int(file.read().split()[1]) * page
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file)
        available = int(facts["MemAvailable"].split()[0]) * 1024
        return f"{resident / 2**30:.1f} GiB resident and {available / 2**30:.1f} GiB available when last seen"
    return ""
