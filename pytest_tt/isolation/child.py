"""What runs in the child: pytest, with a loop that takes tests from the parent."""

from __future__ import annotations

import faulthandler
import io
import os
import signal
import sys
from contextlib import suppress
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from pytest_tt.isolation.attempts import Replay
from pytest_tt.isolation.channel import Channel
from pytest_tt.isolation.coverage import ChildCoverage, running_measurement
from pytest_tt.isolation.neighbours import describe_failure, reruns_reported
from pytest_tt.isolation.serialize import pack_report, pack_warning
from pytest_tt.items import session_of
from pytest_tt.reporting import Listener

if TYPE_CHECKING:
    import socket
    import warnings
    from collections.abc import Generator

    from pytest_tt.isolation.channel import Message
    from pytest_tt.isolation.reports import Stage


# Freed when memory runs out, so that the failure can still be reported.
_BALLAST = 16 << 20


class ChildPlugin(Listener):
    """Runs the tests that the parent asks for, and sends it reports, warnings and phases."""

    def __init__(self, sock: socket.socket, start: Message) -> None:
        self._channel = Channel(sock)
        self._start = start
        self._stdout: TextIO = sys.stdout
        self._terminal = _Terminal(start["terminal"])
        self._items: dict[tuple[str, int], pytest.Item] = {}
        self._session: pytest.Session | None = None
        self._problems: list[str] = []
        self._at_start = [_identity(descriptor) for descriptor in (1, 2)]
        self._output_sent = False
        self._exhausted = False
        self._ready = False
        self._replay: Replay | None = None
        self._coverage: ChildCoverage | None = None
        self._ballast = bytearray(_BALLAST)

    def phase_reached(self, nodeid: str, phase: str) -> None:
        """The test has reached `phase`."""
        self._tell({"kind": "phase", "nodeid": nodeid, "phase": phase})

    def compiling(self, program: str | None) -> None:
        """TT's compiler works on `program`, or on none any more."""
        self._tell({"kind": "compiling", "program": program})

    def tell_unready(self, config: pytest.Config, excinfo: pytest.ExceptionInfo[BaseException], text: str) -> None:
        """This process ends before it can run a test; `text` is the traceback to show."""
        if not self._ready:
            self._tell({"kind": "unready", "problem": describe_failure(config, excinfo, text)})

    def change(self, config: pytest.Config) -> None:
        """Change the configuration for a child, before plugins are configured."""
        self._config = config
        option = config.option
        option.maxfail = 0  # the parent counts
        option.cacheclear = False  # the parent has done it
        option.color = "yes" if self._start["colour"] else "no"  # in the text of reports
        config.workerinput = dict(self._start["workerinput"])  # type: ignore[attr-defined]
        config.workeroutput = {}  # type: ignore[attr-defined]
        if self._start["coverage"] is not None and running_measurement() is None:
            self._coverage = ChildCoverage(self._start["coverage"])
            config.pluginmanager.register(self._coverage)
        # The parent has the terminal: this process's terminal reporter, created next, writes to one that is not shown.
        self._stdout, sys.stdout = sys.stdout, self._terminal

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        sys.stdout = self._stdout
        self._session = session
        # After pytest's own faulthandler plugin, which writes to the terminal.
        faulthandler.enable(self._start["dump"])
        faulthandler.register(signal.SIGUSR1, self._start["dump"])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._problems.append(f"{report.nodeid}:\n{report.longreprtext}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        counts: dict[str, int] = {}
        for item in session.items:
            place = counts[item.nodeid] = counts.get(item.nodeid, -1) + 1
            self._items[item.nodeid, place] = item
        if self._start["warm"]:
            _open_chips()
        self._ready = True
        self._channel.send({"kind": "ready"})
        while True:
            try:
                message = self._channel.receive()
            except EOFError:  # the parent has ended
                return True
            assert message is not None
            if message["do"] == "end":
                return True
            if message["do"] == "open":
                self._channel.send({"kind": "opened", "problem": _open_chips()})
            else:
                self._run(session, message)

    def _run(self, session: pytest.Session, message: Message) -> None:
        item = self._find(message["test"])
        if item is None:
            self._channel.send({"kind": "unknown", "problems": self._problems})
            return
        self._replay = Replay(message["attempts"])
        self._channel.send({"kind": "started"})
        try:
            with reruns_reported(item.config):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=self._find(message["next"]))
        except pytest.exit.Exception as stop:
            self._tell({"kind": "exit", "reason": stop.msg, "returncode": stop.returncode})
            raise
        except KeyboardInterrupt:
            self._tell({"kind": "interrupted"})
            raise
        session_of(item.config).cache.keep()
        if self._coverage is not None:
            self._coverage.save()
        exhausted, self._exhausted = self._exhausted, False
        self._channel.send(
            {
                "kind": "done",
                "exhausted": exhausted,
                "shouldfail": session.shouldfail,
                "shouldstop": session.shouldstop if not exhausted else False,
            }
        )

    def _find(self, key: list[Any] | None) -> pytest.Item | None:
        return None if key is None else self._items.get((key[0], key[1]))

    def _tell(self, message: Message) -> None:
        """Send `message` to a parent that may have ended."""
        with suppress(OSError):
            self._channel.send(message)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self._replay is not None:
            self._replay.begin_attempt()
        # pytest captures now: the parent can read the files it captures to after this process has crashed.
        if not self._output_sent:
            self._output_sent = True
            if all(_identity(fd) not in (None, before) for fd, before in zip((1, 2), self._at_start, strict=True)):
                self._channel.send({"kind": "output"}, (1, 2))
        self._begin_stage(item, "setup")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self._begin_stage(item, "call")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        self._begin_stage(item, "teardown")

    def _begin_stage(self, item: pytest.Item, stage: Stage) -> None:
        self._tell({"kind": "stage", "stage": stage})
        self._terminal.restart()
        if self._replay is not None and stage != "teardown":
            self._replay.fail(item, stage)

    @pytest.hookimpl(tryfirst=True, wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        self._terminal.keep = False
        if call.excinfo is not None and _out_of_memory(call.excinfo.value):
            self._exhausted = True
            self._ballast.clear()
            if not item.session.shouldstop:
                item.session.shouldstop = "out of memory"  # this process ends, so everything is torn down
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        assert self._session is not None
        if self._replay is not None and self._replay.was_reported(report):
            return
        self._channel.send({"kind": "report", "data": pack_report(self._session.config, report)})
        try:
            answer = self._channel.receive()
        except EOFError:
            pytest.exit("the process that started the tests has ended")
        assert answer is not None
        # With these set pytest tears down everything after this test, as it would in one process.
        if answer["shouldfail"]:
            self._session.shouldfail = answer["shouldfail"]
        if answer["shouldstop"]:
            self._session.shouldstop = answer["shouldstop"]

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        if when == "runtest":  # the parent has those of configuration and collection
            warning = pack_warning(warning_message)
            self._tell({"kind": "warning", "warning": warning, "nodeid": nodeid, "location": location})

    def pytest_internalerror(self, excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]) -> bool | None:
        if _out_of_memory(excinfo.value):
            self._ballast.clear()
            self._tell({"kind": "exhausted"})
        elif not self._ready:
            self.tell_unready(self._config, excinfo, str(excrepr))
            return True  # the parent shows it
        else:
            self._tell({"kind": "internal", "text": str(excrepr)})
        return None


def _out_of_memory(error: BaseException) -> bool:
    """Whether Python, or XLA on the chips, ran out of memory."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error))


class _Terminal(io.StringIO):
    """The terminal of this process, which is not shown.

    What is written while a test runs is kept in the file behind `descriptor`, because it may be the last output:
    pytest-timeout writes the stacks of all threads there and ends the process.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.keep = False

    def write(self, text: str) -> int:
        if self.keep:
            os.write(self._descriptor, text.encode(errors="replace"))
        return len(text)

    def restart(self) -> None:
        """Discard what was kept, and keep what follows."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.keep = True


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Device and inode of a regular file that is open as `descriptor`; None for anything else."""
    with suppress(OSError):
        status = os.fstat(descriptor)
        if S_ISREG(status.st_mode):
            return status.st_dev, status.st_ino
    return None


def _open_chips() -> str | None:
    """Start jax on the chips; returns why that fails, else None."""
    from pytest_tt.targets.platforms import PLATFORM

    try:
        import jax

        jax.devices(PLATFORM)
    except Exception as error:  # jax may be missing or broken: a test will show
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None
