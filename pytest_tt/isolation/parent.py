"""The plugin of a run whose tests are isolated: hands each test to a child and reports those that take it down."""

from __future__ import annotations

import faulthandler
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.isolation.attempts import Attempts, may_be_rerun
from pytest_tt.isolation.coverage import SharedCoverage, running_measurement
from pytest_tt.isolation.dispatch import NotCollectedError, Turn
from pytest_tt.isolation.pool import StartError, Supply
from pytest_tt.isolation.process import Died
from pytest_tt.isolation.reports import report_failure, where
from pytest_tt.items import find_recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_tt.isolation.chips import HeldChips
    from pytest_tt.isolation.crash import Death
    from pytest_tt.isolation.dispatch import Key
    from pytest_tt.isolation.process import Child
    from pytest_tt.options import Setting
    from pytest_tt.session import Session

_NAME = "pytest_tt_isolate"


def isolate(config: pytest.Config, session: Session, chips: HeldChips | None) -> None:
    """Have the tests of this run executed in children. `chips` are those that this process holds on hw."""
    assert session.isolation is not None
    timeout = session.isolation.timeout
    measurement = running_measurement()
    coverage = None if measurement is None else SharedCoverage(measurement, config)

    def forget(pid: int) -> None:
        session.forget_process(pid)
        if coverage is not None:
            coverage.take(pid)

    supply = Supply(config, chips, timeout.value, coverage=coverage, say=session.say, forget=forget)
    isolator = Isolator(timeout, supply, coverage, session.say)
    config.pluginmanager.register(isolator, _NAME)
    config.add_cleanup(isolator.close)


class Isolator:
    """Registered as a plugin once it is known that tests use chips."""

    def __init__(
        self, timeout: Setting[float], supply: Supply, coverage: SharedCoverage | None, say: Callable[[str], None]
    ) -> None:
        self._timeout = timeout
        self._supply = supply
        self._coverage = coverage
        self._say = say
        self._keys: dict[pytest.Item, Key] = {}
        self._deadly: set[str] = set()
        self._notes: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        # The time limit of pytest's own faulthandler plugin is kept in the child; so is pytest-timeout's, see below.
        faulthandler.cancel_dump_traceback_later()
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        try:
            self._run(item, nextitem)
        except BaseException:
            self._supply.end()
            raise
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self) -> bool:
        return True  # set, as far as this process is concerned

    # The innermost wrapper: pytest-cov writes its report in one of its own.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            problem = self._supply.finish()
            if problem is not None:
                line = f"tt: the process of the tests {problem} when it ended, after its last test"
                if hasattr(session.config, "workerinput"):  # no summary follows
                    self._say(line)
                else:
                    self._notes.append(line)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._deadly:
            tests = "1 test" if len(self._deadly) == 1 else f"{len(self._deadly)} tests"
            line = f"tt: {tests} took the process of the tests down"
            if self._coverage is not None:
                line += ", and what ran there last may be missing from the coverage"
            self._notes.append(line)
        if self._coverage is not None and self._coverage.problem is not None:
            self._notes.append(f"tt: coverage lacks what isolated tests ran: {self._coverage.problem}")
        for line in self._notes:
            terminalreporter.write_line(line, yellow=True)

    def close(self) -> None:
        """Leave no child behind, however the run ends."""
        self._supply.close()
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
                child = self._supply.get(uses_chips)
                fresh = not child.used
                following = None if nextitem is None else self._key(nextitem)
                turn = Turn(child, item, self._key(item), following, attempts)
                death = self._death_in(turn, child)
            except (StartError, NotCollectedError) as error:
                problem = str(error)
                if isinstance(error, StartError) and error.final:
                    item.session.shouldfail = f"tt: {problem.splitlines()[0]}"
                break
            if death is None:
                untold = attempts.untold(turn)
                if untold is not None:
                    report_failure(item, *untold, 0.0)
                return
            if turn.begun or fresh:
                if self._bury(item, turn, death, attempts):
                    continue
                return
            # It died of something that an earlier test left running: this one has not begun.
            self._say(f"tt: the process of the tests {death.how} before it began with {item.nodeid}")
            self._supply.lost(f"the test before {item.nodeid} ({death.how})")
        last = attempts.last()
        if last is not None:
            report_failure(item, last[0], f"{last[1]}\n\nNot run again: {problem}", 0.0)
        else:
            report_failure(item, "setup", problem, 0.0)

    def _death_in(self, turn: Turn, child: Child) -> Death | None:
        """Run the test; how `child` died of it, if it did."""
        try:
            if turn.run(self._timeout.value):
                if turn.exhausted:
                    self._supply.retire(turn.nodeid)
                return None
        except Died:
            turn.stop()
            return child.death()
        turn.stop()
        return self._supply.hang(child, f"timed out after {self._timeout.value:g} s ({self._timeout.source})")

    def _bury(self, item: pytest.Item, turn: Turn, death: Death, attempts: Attempts) -> bool:
        """Report the death, or return True where the next child is to report it because the test may be rerun."""
        self._deadly.add(item.nodeid)
        place = where(item, turn.stage)
        self._supply.lost(f"{item.nodeid} ({death.how} {place})")
        text = death.text(place, turn.seconds)
        recorder = find_recorder(item)
        phase = None if recorder is None else recorder.row.phase
        if turn.begun and may_be_rerun(item) and attempts.add(turn, phase, text):
            return True
        report_failure(item, turn.stage, text, turn.stage_seconds)
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
    """A worker of xdist's --dist loadgroup adds the groups to the node id (where pytest lets it); a child does not."""
    if not getattr(item.config.option, "loadgroup", False):
        return item.nodeid
    marks = item.iter_markers("xdist_group")
    groups = {str(mark.args[0] if mark.args else mark.kwargs.get("name", "default")) for mark in marks}
    return item.nodeid.removesuffix("@" + "_".join(sorted(groups)))
