"""Gathers the rows of a run in the process that reports it: the only one, or xdist's controller."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.files import write_atomically
from pytest_tt.results.document import RunFacts, write_document
from pytest_tt.results.row import Row, update_from_properties

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Rewriting the whole document after every test would cost quadratic time in a long run.
_REWRITE_SECONDS = 2.0

ROWS_FILE = "rows.json"


class ResultsCollector:
    """Registered as a pytest plugin when ``--tt-results`` is given."""

    def __init__(self, path: Path, facts: RunFacts, exchange: Path) -> None:
        self._path = path
        self._facts = facts
        self._exchange = exchange
        self._rows: dict[str, Row] = {}
        self._seen: set[str] = set()
        self._written = float("-inf")

    def begin(self, rows: Iterable[Row]) -> None:
        """Take the rows of the collected tests and write them as they are: failed."""
        self._rows = {row.nodeid: row for row in rows}
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
            return
        # A test may be set up more than once (pytest-rerunfailures): its last attempt counts.
        first = report.when == "setup" or report.nodeid not in self._seen
        self._seen.add(report.nodeid)
        update_from_properties(row, report.user_properties)
        if report.when not in ("setup", "call", "teardown"):
            # The worker died: the last phase it told of is in its file.
            row.phase = self._last_phase(report.nodeid) or row.phase
        outcome = _outcome(report)
        if first or outcome == "failed" or (row.outcome != "failed" and outcome != "passed"):
            row.outcome = outcome
            row.reason = _reason(report)
        if time.monotonic() - self._written > _REWRITE_SECONDS:
            self._write()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._read_workers_rows()
        self._write()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line(f"tt: results of {len(self._rows)} tests in {self._path}")

    def _write(self) -> None:
        write_document(self._path, self._facts, self._rows.values())
        self._written = time.monotonic()

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


class WorkerNotes:
    """What a worker leaves for the controller: the rows it collected, and how far its present test has come."""

    def __init__(self, exchange: Path, worker: str) -> None:
        self._exchange = exchange
        self._phase_file = exchange / f"{worker}.phase"

    def begin(self, rows: Iterable[Row]) -> None:
        path = self._exchange / ROWS_FILE
        if not path.exists():
            write_atomically(path, json.dumps([row.to_json() for row in rows]))

    def phase(self, nodeid: str, phase: str) -> None:
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
