"""Ctrl-C in a run whose tests are not isolated, where Python cannot react: one ends the run.

Python raises KeyboardInterrupt between two instructions of the main thread. That thread may wait in native code for
ever: for a collective whose other participants do not come, or, when jax is closed, for a program that does not end.
So a thread is told of each SIGINT by the signal handler itself. Where the main thread stands still for a while after
one, and does not react to another signal either, it says where that is, has the results written, and ends the process
as pytest ends an interrupted run. A second Ctrl-C does not wait. A test under --tt-isolate needs none of this: its
process is killed.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import select
import signal
import sys
import tempfile
import threading
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import pytest

from pytest_tt.isolation.crash import head, readable_dump
from pytest_tt.items import find_recorder

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from types import FrameType

    from pytest_tt.reporting import Reporting

_POLL_S = 0.1
# Asks the main thread whether it reacts to signals. Where nobody has a handler it is ignored.
_QUESTION = signal.SIGURG
_ANSWER_S = 0.5


class InterruptWatch:
    """A plugin of a process that runs tests on chips itself.

    The main thread may stand still for `still_s` seconds after Ctrl-C: chips may be about to close.
    """

    def __init__(self, still_s: float, reporting: Reporting) -> None:
        self._still_s = still_s
        self._reporting = reporting
        self._main = threading.main_thread()
        self._item: pytest.Item | None = None
        self._interrupted = False
        self._ended = False
        self._exiting = False
        self._debugged = False
        self._answered = False
        self._stderr = -1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        self._stderr = os.dup(2)  # not captured between tests
        self._listen()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._item = item

    def pytest_enter_pdb(self) -> None:
        self._debugged = True  # whose prompt goes on after Ctrl-C

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_keyboard_interrupt(self) -> Generator[None, object, object]:
        self._interrupted = True
        with _pending_arrays_described():
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._item = None
        self._ended = True
        if signal.getsignal(_QUESTION) == self._answer:
            signal.signal(_QUESTION, signal.SIG_DFL)
        atexit.register(self._begin_exit)  # called first, before jax's own

    def _begin_exit(self) -> None:
        self._exiting = True

    def _listen(self) -> None:
        """Have a thread read the numbers of the signals that arrive, from now to the end of the process."""
        if threading.current_thread() is not self._main:
            return
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
        if before != -1:  # somebody else wants to know
            signal.set_wakeup_fd(before)
            os.close(ours)
            os.close(theirs)
            return
        if signal.getsignal(_QUESTION) is signal.SIG_DFL:
            signal.signal(_QUESTION, self._answer)
        threading.Thread(target=self._watch, args=(ours,), name="tt interrupt", daemon=True).start()

    def _watch(self, descriptor: int) -> None:
        while True:
            if signal.SIGINT not in os.read(descriptor, 64) or self._debugged:
                continue
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not a handler of the test
                self._follow(descriptor)

    def _follow(self, descriptor: int) -> None:
        """Ctrl-C was pressed: see what becomes of it."""
        place, since, moved = self._place(), time.monotonic(), False
        while not self._debugged:
            again = bool(select.select([descriptor], [], [], _POLL_S)[0]) and signal.SIGINT in os.read(descriptor, 64)
            now = self._place()
            if now == place and self._ignores(moved) and (again or time.monotonic() - since > self._still_s):
                self._leave()
            if now != place or again:
                place, since, moved = now, time.monotonic(), not again

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._main.ident or 0)

    def _place(self) -> tuple[int, int] | None:
        frame = self._frame()
        return None if frame is None else (id(frame), frame.f_lasti)

    def _ignores(self, moved: bool) -> bool:
        """Whether the main thread, which stands still, does not react; `moved`: it has not stood since Ctrl-C."""
        if self._ended and not self._exiting:
            return False  # what called pytest.main goes on
        if not self._ended and not self._interrupted:
            return not moved and not self._reacts()  # a test may have caught it
        # A teardown may sleep for good reasons.
        frame = self._frame()
        return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "jax"

    def _reacts(self) -> bool:
        """Whether the main thread runs Python's handlers of signals where it stands, so that of SIGINT too."""
        if signal.getsignal(_QUESTION) != self._answer:
            return False
        self._answered = False
        signal.pthread_kill(self._main.ident or 0, _QUESTION)
        deadline = time.monotonic() + _ANSWER_S
        while not self._answered and time.monotonic() < deadline:
            time.sleep(_POLL_S / 10)
        return self._answered

    def _answer(self, number: int, frame: FrameType | None) -> None:
        self._answered = True

    def _leave(self) -> None:
        with tempfile.TemporaryFile() as file:
            faulthandler.dump_traceback(file, all_threads=True)
            dump = readable_dump(head(file.fileno(), 0))
        nodeid = "" if self._item is None else self._item.nodeid
        where = "while jax is closed" if self._exiting else f"in {nodeid}"
        line = f"tt: interrupted, but this process waits in native code {where}: it is ended"
        with suppress(OSError):
            os.write(self._stderr, f"\n{line}\n{dump}\n".encode(errors="replace"))
        if self._item is not None:
            recorder = find_recorder(self._item)
            self._reporting.interrupted(nodeid, "setup" if recorder is None else recorder.row.phase)
        os._exit(pytest.ExitCode.INTERRUPTED)


def _pending_arrays_described() -> AbstractContextManager[None]:
    """Have pytest show arrays that are still being computed without waiting for them."""
    if "jax" not in sys.modules:
        return nullcontext()
    from pytest_tt.targets import jax_private

    return jax_private.pending_arrays_described()
