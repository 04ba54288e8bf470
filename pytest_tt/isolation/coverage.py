"""Coverage of what the children run, added to what this process measures: by pytest-cov or ``coverage run``.

The parent takes coverage's settings from the measurement that runs in it. Each child measures by the same ones into a
file of its own, and the parent adds that file to its own data when the child has ended, before anybody writes a report.
A child saves after each test, as long as that is quick: one that is taken down loses what ran last. Where coverage
itself follows processes (``patch = subprocess``), that is left to it.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_tt.isolation.channel import Message

# Settings of coverage that say what is measured and how.
_SETTINGS = (
    "branch", "concurrency", "context", "core", "cover_pylib", "dynamic_context", "include", "omit", "plugins",
    "relative_files", "source", "source_pkgs", "source_dirs", "timid",
)  # fmt: skip
# What a child need not say: the parent does, and all modules are imported before the child measures.
_KNOWN_WARNINGS = (
    "already-imported", "module-not-imported", "module-not-measured", "module-not-python", "no-data-collected",
    "previously-imported",
)  # fmt: skip


def running_measurement() -> Any:
    """The ``coverage.Coverage`` that measures this process; None where there is none."""
    module = sys.modules.get("coverage")
    return None if module is None else module.Coverage.current()


class SharedCoverage:
    """The parent's part, for a run in which coverage `measurement` is on."""

    def __init__(self, measurement: Any, config: pytest.Config) -> None:
        self._measurement = measurement
        # pytest-cov's --cov-context=test
        self._contexts = config.getoption("cov_context", None) == "test"
        self._directory = tempfile.TemporaryDirectory(prefix="pytest-tt-")
        self.problem: str | None = None
        """Why what children ran is not counted, where that is so."""

    def message(self) -> Message:
        """What a child needs to measure as this process does."""
        module = sys.modules["coverage"]
        settings: dict[str, Any] = {}
        for name in _SETTINGS:
            try:
                settings[f"run:{name}"] = self._measurement.get_option(f"run:{name}")
            except module.CoverageException:  # not a setting of this version
                continue
        warnings = self._measurement.get_option("run:disable_warnings") or []
        settings["run:parallel"] = False  # the name of the file is taken as it is
        settings["run:disable_warnings"] = [*warnings, *_KNOWN_WARNINGS]
        return {
            "directory": self._directory.name,
            "config_file": getattr(self._measurement.config, "config_file", None) or False,
            "settings": settings,
            "contexts": self._contexts,
        }

    def take(self, pid: int) -> None:
        """Add what process `pid`, which has ended, has measured."""
        path = Path(self._directory.name, str(pid))
        if not path.exists():
            return
        module = sys.modules["coverage"]
        try:
            data = module.CoverageData(basename=str(path))
            data.read()
            self._measurement.get_data().update(data)
            data.close()
        except module.CoverageException as error:
            self.problem = str(error)
        path.unlink()

    def close(self) -> None:
        """Remove what is left."""
        self._directory.cleanup()


class ChildCoverage:
    """The child's part, a plugin: measures as `message` says."""

    def __init__(self, message: Message) -> None:
        module = importlib.import_module("coverage")
        self._contexts = message["contexts"]
        self._saved = self._cost = 0.0
        self._measurement: Any = module.Coverage(
            data_file=os.path.join(message["directory"], str(os.getpid())), config_file=message["config_file"]
        )
        for name, value in message["settings"].items():
            if value is not None:
                self._measurement.set_option(name, value)
        self._measurement.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._switch(item, "setup")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        self._switch(item, "run")
        # pytest-cov's mark and fixture for tests that are not to be measured
        if item.get_closest_marker("no_cover") is None and "no_cover" not in getattr(item, "fixturenames", ()):
            return (yield)
        self._measurement.stop()
        try:
            return (yield)
        finally:
            self._measurement.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        self._switch(item, "teardown")

    def _switch(self, item: pytest.Item, when: str) -> None:
        if self._contexts:
            self._measurement.switch_context(f"{item.nodeid}|{when}")

    def save(self) -> None:
        """Keep what was measured so far; for a large source tree, which is searched each time, not after each test."""
        start = time.monotonic()
        if start - self._saved > 10 * self._cost:
            self._measurement.save()
            self._saved = time.monotonic()
            self._cost = self._saved - start

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._measurement.stop()
        self._measurement.save()
