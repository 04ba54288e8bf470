"""Attempts at a test that took its process down, told again to the plugin that reruns tests.

pytest-rerunfailures, pytest-retry and flaky rerun a test in the process in which it failed, and do not see that a
process died. So the next child is given the test once more. There the attempts made so far fail as they did, without
running the test, and the plugin goes on as after any other failure.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.items import find_recorder

if TYPE_CHECKING:
    from pytest_tt.isolation.dispatch import Turn
    from pytest_tt.isolation.reports import Stage

# By which tests are rerun: options, ini keys, and a mark that all of these plugins read.
_RERUN = ("reruns", "force_reruns", "retries", "force_flaky")
_RERUN_INI = ("reruns",)  # pytest-retry marks the tests itself
_RERUN_MARK = "flaky"


def may_be_rerun(item: pytest.Item) -> bool:
    """Whether a plugin may rerun `item` after a failure."""
    config = item.config
    if item.get_closest_marker(_RERUN_MARK) is not None or any(config.getoption(name, None) for name in _RERUN):
        return True
    for name in _RERUN_INI:
        with suppress(ValueError):  # a key that nobody declared
            if config.getini(name):
                return True
    return False


class Attempts:
    """The parent's record of the attempts at one test, for the next child."""

    def __init__(self) -> None:
        self._failures: list[tuple[Stage, str | None, str]] = []
        self._reported: list[tuple[str, int | None]] = []

    def add(self, turn: Turn, phase: str | None, text: str) -> bool:
        """The child died in `turn`; False if that cannot be told as a failure of an attempt."""
        # A teardown that killed is not shown again, nor is what killed before the test had been tried again.
        if turn.stage == "teardown" or turn.attempt <= len(self._failures):
            return False
        for number in range(len(self._failures) + 1, turn.attempt):
            self._failures.append(turn.failures.get(number, ("call", None, "failed in a process that is gone")))
        self._failures.append((turn.stage, phase, text))
        self._reported += turn.reported
        return True

    def last(self) -> tuple[Stage, str] | None:
        """Stage and text of the last failure, None where there is none."""
        return (self._failures[-1][0], self._failures[-1][2]) if self._failures else None

    def untold(self, turn: Turn) -> tuple[Stage, str] | None:
        """The last failure if the test was over in `turn` without it."""
        return self.last() if turn.attempt < len(self._failures) else None

    def message(self) -> dict[str, Any]:
        """For the child."""
        return {"failures": self._failures, "reported": self._reported}


class Replay:
    """The child's part: fails the attempts of a test that failed in other processes."""

    def __init__(self, message: dict[str, Any]) -> None:
        self._failures: list[tuple[str, str | None, str]] = message["failures"]
        self._reported: list[list[Any]] = message["reported"]
        self._number = 0

    def begin_attempt(self) -> None:
        """The test is set up, for the first time or once more."""
        self._number += 1
        if self._number > len(self._failures):
            self._reported.clear()

    def fail(self, item: pytest.Item, stage: Stage) -> None:
        """Fail if this attempt at `item` did at `stage`, or before."""
        if not 0 < self._number <= len(self._failures):
            return
        failed_at, phase, text = self._failures[self._number - 1]
        if failed_at == stage or stage == "call":
            recorder = find_recorder(item)
            if recorder is not None and phase is not None:
                recorder.phase(phase)
            pytest.fail(text, pytrace=False)

    def was_reported(self, report: pytest.TestReport) -> bool:
        """Whether the process that is gone has told of this."""
        key = list(report_key(report))
        if key not in self._reported:
            return False
        self._reported.remove(key)
        return True


def report_key(report: pytest.TestReport) -> tuple[str, int | None]:
    """What tells the reports of a test apart: the stage, and the attempt where pytest-rerunfailures numbers them."""
    return str(report.when), getattr(report, "rerun", None)
