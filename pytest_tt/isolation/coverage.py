"""Coverage of what the children run, added to what this process measures: by pytest-cov or ``coverage run``.

The parent takes coverage's settings from the measurement that runs in it. Each child measures with the same settings
into a file of its own, and the parent adds that file to its data when the child has ended, before reports are written.
A child saves after each test, as long as that is quick: one that crashes loses what ran last. If coverage itself
follows processes (``patch = subprocess``), it does all this.
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
# Warnings that the parent gives too, or that arise because all modules are imported before the child measures.
_KNOWN_WARNINGS = (
    "already-imported", "module-not-imported", "module-not-measured", "module-not-python", "no-data-collected",
    "previously-imported",
)  # fmt: skip


def running_measurement() -> Any:
    """The ``coverage.Coverage`` that measures this process; None without one."""
    module = sys.modules.get("coverage")
    return None if module is None else module.Coverage.current()


class SharedCoverage:
    """The parent's part, in a run that coverage `measurement` measures."""

    def __init__(self, measurement: Any, config: pytest.Config) -> None:
        self._measurement = measurement
        # pytest-cov's --cov-context=test
        self._contexts = config.getoption("cov_context", None) == "test"
        self._directory = tempfile.TemporaryDirectory(prefix="pytest-tt-")
        self.problem: str | None = None
        """Why what children ran is not counted; None if it is."""

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
        settings["run:parallel"] = False  # the file name is used as it is
        settings["run:disable_warnings"] = [*warnings, *_KNOWN_WARNINGS]
        return {
            "directory": self._directory.name,
            "config_file": getattr(self._measurement.config, "config_file", None) or False,
            "settings": settings,
            "contexts": self._contexts,
        }

    def take(self, pid: int) -> None:
        """Add what process `pid` measured before it ended."""
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
        # pytest-cov's mark and fixture for tests that it must not measure
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
        """Save what was measured so far; not after each test if that is slow: coverage searches the source tree."""
        start = time.monotonic()
        if start - self._saved > 10 * self._cost:
            self._measurement.save()
            self._saved = time.monotonic()
            self._cost = self._saved - start

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._measurement.stop()
        self._measurement.save()
