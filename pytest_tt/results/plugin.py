"""Connects a run with the results document: the collector in the reporting process, notes in xdist's workers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.files import usable_file
from pytest_tt.results.collector import ResultsCollector, WorkerNotes
from pytest_tt.results.document import RunFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_tt.results.row import Row
    from pytest_tt.targets.target import Target

_NOTES, _RESULTS = "pytest_tt_notes", "pytest_tt_results"


def register(config: pytest.Config, target: Target, path: Path, source: str) -> None:
    """Collect the results of this run on `target` into `path`, which `source` names, e.g. ``--tt-results``."""
    workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
    if workerinput is not None:
        if "tt_exchange" in workerinput:
            notes = WorkerNotes(Path(workerinput["tt_exchange"]), workerinput["workerid"])
            config.pluginmanager.register(notes, _NOTES)
        return
    if config.option.collectonly:
        return
    path = usable_file(path, source)
    exchange = tempfile.TemporaryDirectory(prefix="pytest-tt-")
    config.add_cleanup(exchange.cleanup)
    collector = ResultsCollector(path, RunFacts(target, config.rootpath), Path(exchange.name))
    config.pluginmanager.register(collector, _RESULTS)


def begin_rows(config: pytest.Config, rows: Sequence[Row]) -> None:
    """The tests have been collected; `rows` says all of them failed until they are seen to pass."""
    for name in (_NOTES, _RESULTS):
        plugin: WorkerNotes | ResultsCollector | None = config.pluginmanager.get_plugin(name)
        if plugin is not None:
            plugin.begin(rows)
