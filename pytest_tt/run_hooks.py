"""What happens around each tt test: it is kept from running where it cannot, and its row is kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_tt.items import find_recorder, run_of, session_of
from pytest_tt.parameters import SHARED_MESH

if TYPE_CHECKING:
    from collections.abc import Generator

RUN_HOOKS = "pytest_tt_run_hooks"

_SCOPES = (
    f"The fixtures of pytest-tt belong to one test. A fixture that several tests share takes {SHARED_MESH} instead of "
    'tt_mesh: see "Load once for many tests" in docs/write_a_test.md.'
)


def install_run_hooks(config: pytest.Config) -> None:
    """Have the hooks around each test; not at the start, so that runs without tt tests do not pay for them."""
    if not config.pluginmanager.has_plugin(RUN_HOOKS):
        config.pluginmanager.register(RunHooks(), RUN_HOOKS)
        config.pluginmanager.register(ScopeHooks())


class ScopeHooks:
    """Of its own, because a wrapper that fails before the others have begun breaks theirs."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Say what to use where a fixture of wider scope asks for one of ours."""
        __tracebackhide__ = True
        try:
            return (yield)
        except pytest.fail.Exception as error:
            problem = str(error)
            if find_recorder(item) is None or "ScopeMismatch" not in problem:
                raise
        pytest.fail(f"{problem}\n{_SCOPES}", pytrace=False)


class RunHooks:
    """Registered as a plugin once a tt test has been collected."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        recorder = find_recorder(item)
        if recorder is None:
            return
        recorder.restart()
        obstacle = run_of(item).obstacle
        if obstacle is not None and session_of(item.config).settings.require.value:
            pytest.fail(f"{obstacle} (--tt-require)", pytrace=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        recorder = find_recorder(item)
        if recorder is not None:
            recorder.phase("trace" if "tt_jit" in getattr(item, "fixturenames", ()) else "execute")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        recorder = find_recorder(item)
        if recorder is not None:
            recorder.publish(item)
        report = yield
        if recorder is not None and report.when == "setup" and report.failed and run_of(item).obstacle is not None:
            report.tt_obstacle = True  # type: ignore[attr-defined]
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """A test that could not run under --tt-require has failed; pytest would call it an error of its set-up."""
        return ("failed", "F", "FAILED") if hasattr(report, "tt_obstacle") else None
