"""Connects a run with the results document: the collector in the reporting process, notes in xdist's workers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.files import usable_file
from pytest_tt.results.collector import ResultsCollector, WorkerNotes
from pytest_tt.results.document import RunFacts

if TYPE_CHECKING:
    import pytest

    from pytest_tt.session import Session


def register(config: pytest.Config, session: Session, path: Path) -> None:
    """Collect the results of this run into `path`."""
    workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
    if workerinput is not None:
        if "tt_exchange" in workerinput:
            session.notes = WorkerNotes(Path(workerinput["tt_exchange"]), workerinput["workerid"])
        return
    if config.option.collectonly:
        return
    path = usable_file(path, session.settings.results.source)
    exchange = tempfile.TemporaryDirectory(prefix="pytest-tt-")
    config.add_cleanup(exchange.cleanup)
    session.collector = ResultsCollector(path, RunFacts(session.ground, config.rootpath), Path(exchange.name))
    config.pluginmanager.register(session.collector, "pytest_tt_results")
