"""Reports that the parent makes of a test whose process has crashed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import pytest

from pytest_tt.items import find_recorder
from pytest_tt.run_hooks import RUN_HOOKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pluggy import HookCaller

    Stage = Literal["setup", "call", "teardown"]

# Plugins that can report without the process that ran the test: others may want its fixtures.
_REPORTING = ("runner", "skipping", RUN_HOOKS)


def where(item: pytest.Item, stage: Stage) -> str:
    """How far the test got, e.g. ``in phase compile``."""
    recorder = find_recorder(item)
    if stage == "teardown":
        return "in its teardown"
    if recorder is not None:
        return f"in phase {recorder.row.phase}"
    return "in its setup" if stage == "setup" else "in its body"


def report_failure(item: pytest.Item, stage: Stage, text: str, duration_s: float) -> None:
    """Report that `item` failed in `stage` for the reason `text`, after `duration_s` in that stage.

    A test with an xfail mark fails as expected, as if pytest had seen the exception.
    """
    _evaluate_xfail(item)

    _report(item, stage, lambda: pytest.fail(text, pytrace=False), duration_s)
    if stage != "teardown":
        # Without it reporters would wait for the test to end.
        _report(item, "teardown", lambda: None, 0.0)


def _report(item: pytest.Item, stage: Stage, func: Callable[[], None], duration_s: float) -> None:
    call = pytest.CallInfo.from_call(func, when=stage)
    report: pytest.TestReport = _subset(item, "pytest_runtest_makereport", _REPORTING)(item=item, call=call)
    report.duration, report.stop = duration_s, time.time()
    report.start = report.stop - duration_s
    item.ihook.pytest_runtest_logreport(report=report)


def _evaluate_xfail(item: pytest.Item) -> None:
    """Have pytest evaluate the item's marks as before a test's setup; no setup follows here."""
    # A skip that applies here did not apply in the child.
    with suppress(pytest.skip.Exception, pytest.xfail.Exception):
        _subset(item, "pytest_runtest_setup", ("skipping",))(item=item)


def _subset(item: pytest.Item, hook: str, names: tuple[str, ...]) -> HookCaller:
    """The caller of `hook` in the plugins named `names` only."""
    manager = item.config.pluginmanager
    kept = [manager.get_plugin(name) for name in names]
    return manager.subset_hook_caller(hook, [plugin for plugin in manager.get_plugins() if plugin not in kept])
