"""The plugin of a run whose tests are isolated: hands each test to a child and reports those that crash it."""

from __future__ import annotations

import faulthandler
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.isolation.attempts import Attempts, may_be_rerun
from pytest_tt.isolation.coverage import SharedCoverage, running_measurement
from pytest_tt.isolation.dispatch import Dispatch, NotCollectedError
from pytest_tt.isolation.pool import Pool, StartError
from pytest_tt.isolation.process import CrashedError
from pytest_tt.isolation.reports import report_failure, where
from pytest_tt.items import find_recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_tt.isolation.crash import Crash
    from pytest_tt.isolation.dispatch import Key
    from pytest_tt.isolation.process import Child
    from pytest_tt.options import Setting
    from pytest_tt.session import Session
    from pytest_tt.targets.lent import LentChips

_NAME = "pytest_tt_isolate"


def isolate(config: pytest.Config, session: Session, timeout: Setting[float], chips: LentChips | None) -> None:
    """Run the tests in children. `chips`: those that this process holds for them."""
    measurement = running_measurement()
    coverage = None if measurement is None else SharedCoverage(measurement, config)

    def forget(pid: int) -> None:
        session.cache.forget_process(pid)
        if coverage is not None:
            coverage.take(pid)

    pool = Pool(config, chips, timeout.value, coverage=coverage, say=session.reporting.say, forget=forget)
    isolator = Isolator(timeout, pool, coverage, session.reporting.say)
    config.pluginmanager.register(isolator, _NAME)
    config.add_cleanup(isolator.close)


class Isolator:
    """Registered as a plugin once it is known that tests use chips."""

    def __init__(
        self, timeout: Setting[float], pool: Pool, coverage: SharedCoverage | None, say: Callable[[str], None]
    ) -> None:
        self._timeout = timeout
        self._pool = pool
        self._coverage = coverage
        self._say = say
        self._keys: dict[pytest.Item, Key] = {}
        self._crashed: set[str] = set()
        self._notes: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        # The child keeps the time limit of pytest's own faulthandler plugin, and that of pytest-timeout, see below.
        faulthandler.cancel_dump_traceback_later()
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        try:
            self._run(item, nextitem)
        except BaseException:
            self._pool.end()
            raise
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self) -> bool:
        return True  # no timer in this process

    # The innermost wrapper: pytest-cov writes its report in one of its own.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            problem = self._pool.finish()
            if problem is not None:
                line = f"tt: the test process {problem} when it ended, after its last test"
                if hasattr(session.config, "workerinput"):  # no summary follows
                    self._say(line)
                else:
                    self._notes.append(line)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._crashed:
            tests = "1 test" if len(self._crashed) == 1 else f"{len(self._crashed)} tests"
            line = f"tt: {tests} crashed the test process"
            if self._coverage is not None:
                line += ", so coverage may lack what ran there last"
            self._notes.append(line)
        if self._coverage is not None and self._coverage.problem is not None:
            self._notes.append(f"tt: coverage lacks what isolated tests ran: {self._coverage.problem}")
        for line in self._notes:
            terminalreporter.write_line(line, yellow=True)

    def close(self) -> None:
        """Kill all children, however the run ends."""
        self._pool.close()
        if self._coverage is not None:
            self._coverage.close()

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        recorder = find_recorder(item)
        if recorder is not None:
            recorder.restart()
        uses_chips = recorder is not None and item.get_closest_marker("skip") is None
        attempts = Attempts()
        while True:
            try:
                child = self._pool.get(uses_chips)
                fresh = not child.used
                following = None if nextitem is None else self._key(nextitem)
                dispatch = Dispatch(child, item, self._key(item), following, attempts)
                crash = self._crash_in(dispatch, child)
            except (StartError, NotCollectedError) as error:
                problem = str(error)
                if isinstance(error, StartError) and error.final:
                    item.session.shouldfail = f"tt: {problem.splitlines()[0]}"
                break
            if crash is None:
                unreported = attempts.unreported(dispatch)
                if unreported is not None:
                    report_failure(item, *unreported, 0.0)
                return
            if dispatch.begun or fresh:
                if self._report_crash(item, dispatch, crash, attempts):
                    continue
                return
            # Something that an earlier test left running crashed it: this test has not begun.
            self._say(f"tt: the test process {crash.how} before it began {item.nodeid}")
            self._pool.lost(f"the test before {item.nodeid} ({crash.how})")
        last = attempts.last()
        if last is not None:
            report_failure(item, last[0], f"{last[1]}\n\nNot run again: {problem}", 0.0)
        else:
            report_failure(item, "setup", problem, 0.0)

    def _crash_in(self, dispatch: Dispatch, child: Child) -> Crash | None:
        """Run the test; returns how `child` crashed, if it did."""
        try:
            if dispatch.run(self._timeout.value):
                if dispatch.exhausted:
                    self._pool.retire(dispatch.nodeid)
                return None
        except CrashedError:
            dispatch.stop()
            return child.crash()
        dispatch.stop()
        return self._pool.end_hung(child, f"timed out after {self._timeout.value:g} s ({self._timeout.source})")

    def _report_crash(self, item: pytest.Item, dispatch: Dispatch, crash: Crash, attempts: Attempts) -> bool:
        """Report the crash, or return True if the next child must report it because the test may be rerun."""
        self._crashed.add(item.nodeid)
        place = where(item, dispatch.stage)
        self._pool.lost(f"{item.nodeid} ({crash.how} {place})")
        text = crash.text(place, dispatch.seconds)
        recorder = find_recorder(item)
        phase = None if recorder is None else recorder.row.phase
        if dispatch.begun and may_be_rerun(item) and attempts.add(dispatch, phase, text):
            return True
        report_failure(item, dispatch.stage, text, dispatch.stage_seconds)
        return False

    def _key(self, item: pytest.Item) -> Key:
        if not self._keys:
            counts: dict[str, int] = {}
            for each in item.session.items:
                nodeid = _nodeid_in_child(each)
                self._keys[each] = (nodeid, counts.setdefault(nodeid, 0))
                counts[nodeid] += 1
        return self._keys[item]


def _nodeid_in_child(item: pytest.Item) -> str:
    """Node id without the groups that a worker adds under xdist's --dist loadgroup (where pytest lets it)."""
    if not getattr(item.config.option, "loadgroup", False):
        return item.nodeid
    marks = item.iter_markers("xdist_group")
    groups = {str(mark.args[0] if mark.args else mark.kwargs.get("name", "default")) for mark in marks}
    return item.nodeid.removesuffix("@" + "_".join(sorted(groups)))
