"""Applies the status file to the collected tests. A plugin, registered only if there is such a file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.discovery import ZooError, hooked
from pytest_tt.fixtures import FIXTURES
from pytest_tt.items import (
    STATUS_BOUNDS,
    STATUS_COMPILE_SKIPS,
    STATUS_REFUSALS,
    run_of,
    session_of,
    uses_tt,
)
from pytest_tt.status.entry import CollectedTest, has_glob, matches, names_test
from pytest_tt.status.file import StatusError, read_statuses
from pytest_tt.status.scope import Scope
from pytest_tt.text import nearest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from pytest_tt.compare.bounds import Bounds
    from pytest_tt.status.entry import Status
    from pytest_tt.status.file import StatusFile

PLUGIN = "pytest_tt_statuses"

_XFAIL: pytest.StashKey[Status] = pytest.StashKey()


def register(config: pytest.Config, path: Path, source: str) -> None:
    """Apply the status file at `path`, named by the setting from `source` (``default``: found in the root directory).

    Raises pytest.UsageError for a file that cannot be used.
    """
    try:
        file = read_statuses(path, _shown(path))
    except StatusError as error:
        raise pytest.UsageError(str(error) if source == "default" else f"{source}: {error}") from None
    config.pluginmanager.register(StatusPlugin(file, source), PLUGIN)


def apply_statuses(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Mark those of the tt tests `items` that the status file selects. Call once, after collection.

    Raises pytest.UsageError for an unknown model, and under --tt-require for a status that matches no test.
    """
    plugin: StatusPlugin | None = config.pluginmanager.get_plugin(PLUGIN)
    if plugin is not None:
        plugin.apply(items)


class StatusPlugin:
    """The statuses of one run."""

    def __init__(self, file: StatusFile, source: str) -> None:
        self._file = file
        self._source = source
        self._session: pytest.Session | None = None
        self._collected: Sequence[pytest.Item] = ()
        self._covered: Counter[str] = Counter()
        self._unmatched: list[str] = []

    def pytest_report_header(self) -> str:
        count = len(self._file.entries)
        source = "found in the root directory" if self._source == "default" else self._source
        return f"tt statuses: {count} in {self._file.shown} ({source})"

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        # Before -k, -m and --deselect: tests that they drop still match.
        self._session, self._collected = session, list(items)

    def apply(self, items: Iterable[pytest.Item]) -> None:
        """See `apply_statuses`."""
        if self._session is not None:
            self._judge(self._session)
        for item in items:
            run = run_of(item)
            if run.obstacle is not None:
                continue  # its status does not say that it cannot run here
            test = _collected_test(item)
            found = [entry for entry in self._file.entries if entry.holds_for(test)]
            # If several entries match, the last in the file counts, for the outcome and for bounds.
            outcomes = [entry for entry in found if entry.outcome is not None]
            if outcomes:
                self._expect(item, outcomes[-1])
            bounded = [entry for entry in found if entry.bounds]
            if bounded:
                item.stash[STATUS_BOUNDS] = _bounds(bounded[-1])
            if not outcomes:
                self._expect_of_compiler(item, test)
        self._session, self._collected = None, ()

    def _expect(self, item: pytest.Item, entry: Status) -> None:
        # First of the test's marks, so that pytest takes this reason.
        if entry.outcome == "skip":
            item.add_marker(pytest.mark.skip(reason=entry.because), append=False)
        else:
            item.add_marker(pytest.mark.xfail(reason=entry.because, strict=True), append=False)
            item.stash[_XFAIL] = entry
            self._covered[entry.place] += 1

    def _expect_of_compiler(self, item: pytest.Item, test: CollectedTest) -> None:
        """Apply entries about systems that the test is only compiled for: an error of TT's compiler is expected there,
        or nothing is compiled for them. Anything else that fails still fails the test."""
        found: dict[str, Status] = {}
        for entry in self._file.entries:
            if entry.outcome is not None:
                found.update(dict.fromkeys(entry.compiled_for(test), entry))
        skips = {system: entry.because for system, entry in found.items() if entry.outcome == "skip"}
        refusals = [entry for system, entry in found.items() if system not in skips]
        if skips:
            item.stash[STATUS_COMPILE_SKIPS] = skips
        if refusals:
            from pytest_tt.compiler.card_check import ExpectedRefusalError

            reason = "; ".join(dict.fromkeys(entry.because for entry in refusals))
            mark = pytest.mark.xfail(reason=reason, strict=True, raises=ExpectedRefusalError)
            item.add_marker(mark, append=False)
            item.stash[STATUS_REFUSALS] = frozenset(found) - skips.keys()
            item.stash[_XFAIL] = refusals[-1]
            self._covered[refusals[-1].place] += 1

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        entry = item.stash.get(_XFAIL, None)
        if entry is not None and report.when == "call" and report.failed and call.excinfo is None:
            report.longrepr = self._unexpected_pass(entry)
        return report

    def _unexpected_pass(self, entry: Status) -> str:
        others = self._covered[entry.place] - 1
        lines = [f"passed, but {entry.place} expects it to fail: {entry.because}"]
        if others:
            some = "another test" if others == 1 else f"{others} other tests"
            lines.append(f"That entry also matches {some} of this run: narrow it if they still fail, else delete it:")
        else:
            lines.append("Delete it:")
        lines += [f"  {line}" for line in entry.lines] or [f"  the entry about {entry.about}"]
        return "\n".join(lines)

    def _judge(self, session: pytest.Session) -> None:
        """Look for statuses that match none of the collected tests."""
        collected = list(_collected_tests(self._collected))
        mesh = session_of(session.config).settings.mesh
        # With a chosen mesh, tests of several meshes are collected for it only; an ini file chooses it for every run.
        narrowed = mesh.given and not mesh.source.startswith("ini ")
        scope = Scope.of(session, narrowed)
        known = {test.model for test in collected if test.model is not None}
        self._refuse_unknown_models(session.config, known)
        lines = list(self._stale(scope, collected, known))
        if not lines:
            return
        if session_of(session.config).settings.require.value:
            raise pytest.UsageError("\n".join(lines))
        if hasattr(session.config, "workerinput"):
            if os.environ.get("PYTEST_XDIST_WORKER") == "gw0":  # the other workers find the same
                for line in lines:
                    session_of(session.config).reporting.say(f"tt: {line}")
        else:
            self._unmatched = lines

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in self._unmatched:
            terminalreporter.write_line(f"tt: {line}", yellow=True)

    def _refuse_unknown_models(self, config: pytest.Config, collected: set[str]) -> None:
        """Raise pytest.UsageError for a model that is neither collected nor in a zoo, if any zoo lists its models.

        Also for a zoo that cannot be used.
        """
        named = {name: entry for entry in self._file.entries for name in entry.model if not has_glob(name)}
        missing = set(named) - collected
        if not missing:
            return
        try:
            zoos = {str(model.name) for zoo in hooked(config) for model in zoo.models}
        except ZooError as error:
            raise pytest.UsageError(str(error)) from None
        for name in named:
            if zoos and name in missing - zoos:
                known = sorted(zoos | collected)
                hint = nearest(name, known)
                raise pytest.UsageError(
                    f"{named[name].place}: {name!r} is not a model{hint}: expected one of {', '.join(known)}"
                )

    def _stale(self, scope: Scope, collected: Sequence[CollectedTest], models: set[str]) -> Iterator[str]:
        """A line for each entry that matches nothing, as far as the run's scope can show that."""
        for entry in self._file.entries:
            lost = self._lost(entry, scope, collected, models)
            if lost is not None:
                yield f"{entry.place}: {lost} matches no collected tt test: fix the entry, or delete it"

    def _lost(self, entry: Status, scope: Scope, collected: Sequence[CollectedTest], models: set[str]) -> str | None:
        """The part of `entry` that matches nothing; None if all of it matches, or if the scope cannot show that."""
        for pattern in entry.tests:
            if scope.has_tests(pattern) and not any(names_test(pattern, test.nodeid) for test in collected):
                return f"tests {pattern!r}"
        if entry.tests:
            whole = all(scope.has_tests(pattern) for pattern in entry.tests)
        else:
            whole = scope.has_suite(self._file.path.resolve().parent)
        if not whole or any(entry.names(test) for test in collected):
            return None
        unknown = [name for name in entry.model if not any(matches(name, model) for model in models)]
        return entry.about + "".join(nearest(name, models) for name in unknown[:1])


def _collected_tests(items: Iterable[pytest.Item]) -> Iterator[CollectedTest]:
    for item in items:
        if uses_tt(item, FIXTURES):
            try:
                yield _collected_test(item)
            except pytest.UsageError:
                continue  # a mistake in its marker; the run reports it unless the test is deselected


def _collected_test(item: pytest.Item) -> CollectedTest:
    run = run_of(item)
    return CollectedTest(item.nodeid, run.model, run.variant, run.mesh, run.system, run.backend, run.compile)


def _bounds(entry: Status) -> Bounds:
    from pytest_tt.compare.bounds import Bounds

    return Bounds(**entry.bounds, reason=f"{entry.because}; {entry.place}")


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
