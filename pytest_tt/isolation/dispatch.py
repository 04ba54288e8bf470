"""Dispatch of one test to a child: handles the child's messages until the test ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pytest_tt.isolation.attempts import Progress, report_key
from pytest_tt.isolation.serialize import unpack_report, unpack_warning
from pytest_tt.items import recorder_of

if TYPE_CHECKING:
    from pytest_tt.isolation.attempts import Attempts
    from pytest_tt.isolation.channel import Message
    from pytest_tt.isolation.process import Child

Key = tuple[str, int]
"""Node id of a test, and how many tests with the same one come before it."""

COMPILER_S = 360.0
"""Seconds beyond its limit that TT's compiler may need to start and to answer."""

_NOT_COLLECTED = (
    "the test process has not collected this test: every process must collect the same tests (no times, random "
    "numbers or sets of strings in parameters)"
)


class NotCollectedError(Exception):
    """The child has not collected the test; the text lists what it could not collect."""


class Dispatch(Progress):
    """The parent's side of one test of `child`."""

    def __init__(self, child: Child, item: pytest.Item, key: Key, following: Key | None, attempts: Attempts) -> None:
        super().__init__()
        self._child = child
        self._item = item
        self._key = key
        self._following = following
        self._attempts = attempts
        self._began = self._stage_began = time.monotonic()
        self.seconds = self.stage_seconds = 0.0
        """How long the test and its current stage had taken when it was stopped."""
        self.begun = False
        """Whether the child has begun the test."""
        self.exhausted = False
        """Whether the test ran out of memory, so that the child must not continue."""

    @property
    def nodeid(self) -> str:
        """Node id of the test."""
        return self._item.nodeid

    def stop(self) -> None:
        """The test did not end: measure its time up to now."""
        now = time.monotonic()
        self.seconds, self.stage_seconds = now - self._began, now - self._stage_began

    def run(self, limit_s: float) -> bool:
        """Run the test; False if it has not ended after `limit_s` seconds (0: no limit).

        The time that TT's compiler takes is not the test's.
        Raises CrashedError, NotCollectedError, and what ends the whole run: pytest.exit, KeyboardInterrupt, or
        RuntimeError for an internal error of pytest or a plugin in the child.
        """
        self._child.begin_test()
        self._child.send(
            {"do": "run", "test": self._key, "next": self._following, "attempts": self._attempts.message()}
        )
        deadline = self._began + limit_s if limit_s else None
        asked: float | None = None  # since when TT's compiler works, which has a limit of its own
        while True:
            message = self._child.receive(deadline if asked is None or not limit_s else asked + limit_s + COMPILER_S)
            if message is None:
                return False
            if message["kind"] == "compiling":
                now = time.monotonic()
                if deadline is not None and asked is not None:
                    deadline += now - asked
                asked = None if message["program"] is None else now
            elif self._handle(message):
                return True

    def _handle(self, message: Message) -> bool:
        """Handle `message`; True if it ends the test."""
        kind = message["kind"]
        session = self._item.session
        if kind == "started":
            self.begun = True
        elif kind == "stage":
            self.stage, self._stage_began = message["stage"], time.monotonic()
            self.attempt += self.stage == "setup"
        elif kind == "phase":
            recorder_of(self._item).phase(message["phase"])
        elif kind == "report":
            self._report(message["data"])
            self._child.send({"shouldfail": session.shouldfail, "shouldstop": session.shouldstop})
        elif kind == "warning":
            location = message["location"]
            self._item.config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": unpack_warning(message["warning"]),
                    "when": "runtest",
                    "nodeid": self._item.nodeid if message["nodeid"] == self._key[0] else message["nodeid"],
                    "location": None if location is None else tuple(location),
                }
            )
        elif kind == "done":
            self.exhausted = message["exhausted"]
            # A hook or a test asked pytest to stop.
            if message["shouldstop"] and not session.shouldstop:
                session.shouldstop = message["shouldstop"]
            if message["shouldfail"] and not session.shouldfail:
                session.shouldfail = message["shouldfail"]
            return True
        elif kind == "unknown":
            raise NotCollectedError("\n\n".join([_NOT_COLLECTED, *message["problems"]]))
        elif kind == "exhausted":
            self._child.last_words = "ran out of memory (MemoryError)"
        elif kind in ("exit", "interrupted", "internal"):
            self._child.leaving = True
            if kind == "exit":
                pytest.exit(message["reason"], message["returncode"])
            if kind == "interrupted":
                raise KeyboardInterrupt
            raise RuntimeError(f"pytest failed in the test process:\n{message['text']}")
        return False

    def _report(self, data: Message) -> None:
        report = unpack_report(self._item.config, data)
        if report.nodeid == self._key[0]:
            report.nodeid = self._item.nodeid  # under xdist's --dist loadgroup it includes the group
        self.reported.append(report_key(report))
        if hasattr(report, "rerun"):  # pytest-rerunfailures: --fail-on-flaky looks at this
            self._item.execution_count = report.rerun + 1  # type: ignore[attr-defined]
        if report.longrepr is not None and report.outcome not in ("passed", "skipped"):
            crash = getattr(report.longrepr, "reprcrash", None)
            text = report.longreprtext if crash is None else str(crash.message)
            self.failures[self.attempt] = ("setup" if report.when == "setup" else "call", None, text)
        self._item.ihook.pytest_runtest_logreport(report=report)
