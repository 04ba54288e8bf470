"""Attempts at a test that crashed its process, reported again to the plugin that reruns tests.

pytest-rerunfailures, pytest-retry and flaky rerun a test in the process in which it failed, and do not see that a
process crashed. So the next child gets the test again. There the earlier attempts fail as they did, without running
the test, and the plugin continues as after any other failure.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.items import find_recorder

if TYPE_CHECKING:
    from pytest_tt.isolation.reports import Stage

# What makes these plugins rerun tests: options, ini keys, and a mark that all of them read.
_RERUN = ("reruns", "force_reruns", "retries", "force_flaky")
_RERUN_INI = ("reruns",)  # pytest-retry marks the tests itself
_RERUN_MARK = "flaky"


def may_be_rerun(item: pytest.Item) -> bool:
    """Whether a plugin may rerun `item` after a failure."""
    config = item.config
    if item.get_closest_marker(_RERUN_MARK) is not None or any(config.getoption(name, None) for name in _RERUN):
        return True
    for name in _RERUN_INI:
        with suppress(ValueError):  # no plugin declares the key
            if config.getini(name):
                return True
    return False


class Progress:
    """How far the attempts at a test have come in one child."""

    def __init__(self) -> None:
        self.stage: Stage = "setup"
        self.attempt = 0
        """How often the test was set up, by a plugin that reruns it."""
        self.failures: dict[int, tuple[Stage, str | None, str]] = {}
        """Stage, phase and text of attempts that failed."""
        self.reported: list[tuple[str, int | None]] = []
        """The keys of the reports, see `report_key`."""


class Attempts:
    """The parent's record of the attempts at one test, for the next child."""

    def __init__(self) -> None:
        self._failures: list[tuple[Stage, str | None, str]] = []
        self._reported: list[tuple[str, int | None]] = []

    def add(self, progress: Progress, phase: str | None, text: str) -> bool:
        """The child crashed after `progress`; False if that cannot be reported as a failed attempt."""
        # A crash in a teardown is not reported again, nor is one before the test was tried again.
        if progress.stage == "teardown" or progress.attempt <= len(self._failures):
            return False
        for number in range(len(self._failures) + 1, progress.attempt):
            self._failures.append(progress.failures.get(number, ("call", None, "failed before the process crashed")))
        self._failures.append((progress.stage, phase, text))
        self._reported += progress.reported
        return True

    def last(self) -> tuple[Stage, str] | None:
        """Stage and text of the last failure; None without one."""
        return (self._failures[-1][0], self._failures[-1][2]) if self._failures else None

    def unreported(self, progress: Progress) -> tuple[Stage, str] | None:
        """The last failure if the test ended after `progress` without reporting it."""
        return self.last() if progress.attempt < len(self._failures) else None

    def message(self) -> dict[str, Any]:
        """The attempts as a message to the child."""
        return {"failures": self._failures, "reported": self._reported}


class Replay:
    """The child's part: fails the attempts that failed in earlier processes."""

    def __init__(self, message: dict[str, Any]) -> None:
        self._failures: list[tuple[str, str | None, str]] = message["failures"]
        self._reported: list[list[Any]] = message["reported"]
        self._number = 0

    def begin_attempt(self) -> None:
        """The test is about to be set up, for the first time or again."""
        self._number += 1
        if self._number > len(self._failures):
            self._reported.clear()

    def fail(self, item: pytest.Item, stage: Stage) -> None:
        """Fail if this attempt at `item` failed at `stage` or before."""
        if not 0 < self._number <= len(self._failures):
            return
        failed_at, phase, text = self._failures[self._number - 1]
        if failed_at == stage or stage == "call":
            recorder = find_recorder(item)
            if recorder is not None and phase is not None:
                recorder.phase(phase)
            pytest.fail(text, pytrace=False)

    def was_reported(self, report: pytest.TestReport) -> bool:
        """Whether an earlier process has sent this report."""
        key = list(report_key(report))
        if key not in self._reported:
            return False
        self._reported.remove(key)
        return True


def report_key(report: pytest.TestReport) -> tuple[str, int | None]:
    """What distinguishes the reports of a test: the stage, and the attempt if pytest-rerunfailures numbers them."""
    return str(report.when), getattr(report, "rerun", None)
