"""Gathers the rows of a run in the process that reports it: the only one, or xdist's controller."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.files import write_atomically
from pytest_tt.reporting import Listener
from pytest_tt.results.document import RunFacts, write_document
from pytest_tt.results.row import PROPERTY_NAMES, Row, update_from_properties

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ROWS_FILE = "rows.json"


class ResultsCollector(Listener):
    """Registered as a pytest plugin when ``--tt-results`` is given."""

    def __init__(self, path: Path, facts: RunFacts, exchange: Path) -> None:
        self._path = path
        self._facts = facts
        self._exchange = exchange
        self._rows: dict[str, Row] = {}
        self._spent: dict[str, float] = {}
        self._written = 0.0
        self._cost = 0.0
        self._problem: str | None = None

    def begin(self, rows: Iterable[Row]) -> None:
        """Take the rows of the collected tests and write them as they are: failed."""
        self._rows = {row.nodeid: replace(row) for row in rows}
        self._write()
        # What this one cost, versions and commit included, says nothing of the next: the first set-up is written.
        self._cost = 0.0

    def interrupted(self, nodeid: str, phase: str) -> None:
        """The process is about to end in `phase` of test `nodeid`: write what is known."""
        row = self._rows.get(nodeid)
        if row is not None:
            row.outcome, row.phase, row.reason = "failed", phase, "interrupted while it waited in native code"
        self._write()

    def _read_workers_rows(self) -> None:
        """Under xdist only workers collect; each leaves the same list in the exchange directory."""
        path = self._exchange / ROWS_FILE
        if not self._rows and path.exists():
            self._rows = {entry["nodeid"]: Row(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._read_workers_rows()
        row = self._rows.get(report.nodeid)
        if row is None:
            if not any(key in PROPERTY_NAMES for key, _ in report.user_properties):
                return
            # A test that asked for chips only when it ran (request.getfixturevalue).
            row = self._rows[report.nodeid] = Row(report.nodeid)
        if hasattr(report, "context"):  # a subtest: pytest reports the test as a whole too
            return
        update_from_properties(row, report.user_properties)
        # Set-up, call and tear-down of the last attempt: by this shards are made of near equal time.
        before = 0.0 if report.when == "setup" else self._spent.get(report.nodeid, 0.0)
        self._spent[report.nodeid] = before + report.duration
        row.timing["test_s"] = round(self._spent[report.nodeid], 6)
        outcome, reason = _outcome(report), _reason(report)
        if report.when == "setup" and outcome == "passed":
            # Nothing is shown yet; and if the process dies now, this is what the document says.
            outcome, reason = "failed", "not finished: the run ended during this test"
        elif report.when not in ("setup", "call", "teardown"):
            # The worker died: the last phase it told of is in its file.
            row.phase = self._last_phase(report.nodeid) or row.phase
        if report.when != "teardown" or outcome == "failed":
            row.outcome, row.reason = outcome, reason
        # At most a twentieth of the time goes into rewriting the document, however long it is.
        if time.monotonic() - self._written > 20 * self._cost:
            self._write()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._read_workers_rows()
        self._write()
        if self._problem is not None and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._problem is not None:
            terminalreporter.write_line(f"tt: results not written: {self._problem}", red=True)
        else:
            terminalreporter.write_line(f"tt: results of {len(self._rows)} tests in {self._path}")

    def _write(self) -> None:
        start = time.monotonic()
        try:
            write_document(self._path, self._facts, self._rows.values())
            self._problem = None
        except OSError as error:  # a full disk, say: tests go on, and the summary tells
            self._problem = f"{self._path}: {error.strerror}"
        self._written = time.monotonic()
        self._cost = self._written - start

    def _last_phase(self, nodeid: str) -> str | None:
        for path in self._exchange.glob("*.phase"):
            test, _, phase = path.read_text(encoding="utf-8").rpartition(" ")
            if test == nodeid:
                return phase
        return None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker where to leave its rows."""
        node.workerinput["tt_exchange"] = str(self._exchange)


class WorkerNotes(Listener):
    """What a worker leaves for the controller: the rows it collected, and how far its present test has come."""

    def __init__(self, exchange: Path, worker: str) -> None:
        self._exchange = exchange
        self._phase_file = exchange / f"{worker}.phase"

    def begin(self, rows: Iterable[Row]) -> None:
        path = self._exchange / ROWS_FILE
        if not path.exists():
            write_atomically(path, json.dumps([row.to_json() for row in rows]))

    def phase_reached(self, nodeid: str, phase: str) -> None:
        self._phase_file.write_text(f"{nodeid} {phase}", encoding="utf-8")


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return report.outcome


def _reason(report: pytest.TestReport) -> str | None:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail) or None
    if report.passed:
        return None
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):
        return str(longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else longrepr).strip()
    return text.splitlines()[0] if text else None
