"""``--tt-isolate`` beside small plugins that do what others do; beside those themselves: test_real_neighbours.py."""

from __future__ import annotations

import json
import sys
from inspect import cleandoc
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.isolation.coverage import SharedCoverage, running_measurement
from pytest_tt.isolation.crash import ended_by_timeout, readable_stacks

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

ISOLATED = ("--tt-isolate", "--tt-results", "r.json", "-p", "no:xdist")


def reasons(pytester: pytest.Pytester) -> dict[str, str | None]:
    """Reasons of the rows of the results document, by the names of the tests."""
    rows = json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))["tests"]
    return {row["nodeid"].partition("::")[2]: row["reason"] for row in rows}


# As pytest-randomly and pytest-random-order do.
SHUFFLES = """
    import random

    class XdistHooks:
        def pytest_configure_node(self, node):
            node.workerinput["seed"] = node.config.seed

    def pytest_configure(config):
        if config.pluginmanager.hasplugin("xdist"):
            config.pluginmanager.register(XdistHooks())
        if hasattr(config, "workerinput"):
            config.seed = config.workerinput["seed"]
        else:
            config.seed = random.getrandbits(32)

    def pytest_report_header(config):
        return f"seed {config.seed}"

    def pytest_collection_modifyitems(config, items):
        random.Random(config.seed).shuffle(items)
"""


def test_other_half_is_prepared_without_xdist(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        shuffles=SHUFFLES,
        test_s="""
        import pytest

        def test_seed(tt_run, request):
            assert hasattr(request.config, "workerinput")
            print("seed", request.config.seed, "order", [item.name for item in request.session.items])

        @pytest.mark.parametrize("n", range(9))
        def test_n(tt_run, n): pass
        """,
    )
    result = run_tt("-p", "shuffles", "-v", "-rP", *ISOLATED)
    result.assert_outcomes(passed=10)
    (seed,) = (
        line.removeprefix("seed ") for line in result.outlines if line.startswith("seed ") and "order" not in line
    )
    order = [line.split()[0].partition("::")[2] for line in result.outlines if " PASSED " in line]
    assert len(order) == 10
    assert f"seed {seed} order {order}" in result.outlines


def test_a_plugin_that_fails_in_a_child_is_one_error(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        needy="""
        def pytest_configure(config):
            if hasattr(config, "workerinput"):
                config.workerinput["port_of_needy"]
        """,
        test_n="""
        def test_a(tt_run): pass
        def test_b(tt_run): pass
        def test_c(tt_run): pass
        """,
    )
    result = run_tt("-p", "needy", *ISOLATED)
    result.assert_outcomes(errors=1)
    error = "the test process cannot be set up: needy raised KeyError: 'port_of_needy'"
    result.stdout.fnmatch_lines(
        [error, "", "*config.workerinput*(-p no:needy)*(--no-tt-isolate)*", f"!* tt: {error} !*"]
    )
    result.stderr.no_fnmatch_line("*INTERNALERROR*")  # said once
    found = reasons(pytester)
    assert found.pop("test_a") == f"Failed: {error}"
    assert list(found) == ["test_b", "test_c"]


# As pytest-rerunfailures does: all attempts in the process that runs the test, reported when each is over.
RERUNS = """
    import pytest
    from _pytest.runner import runtestprotocol

    def pytest_addoption(parser):
        parser.addoption("--reruns", type=int)

    def pytest_runtest_protocol(item, nextitem):
        for left in reversed(range(item.config.option.reruns + 1)):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            again = left and any(report.failed for report in reports)
            for report in reports:
                if again and report.failed:
                    report.outcome = "rerun"
                item.ihook.pytest_runtest_logreport(report=report)
            if not again:
                return True
            item._initrequest()

    def pytest_report_teststatus(report):
        if report.outcome == "rerun":
            return "rerun", "R", ("RERUN", {"yellow": True})
"""

DEADLY = """
    import os
    from pathlib import Path
    import pytest

    pytestmark = pytest.mark.tt(mesh="1x2")

    def attempt(name):
        with open(name, "a") as file:
            file.write("x")
        return len(Path(name).read_text())

    def test_fails_then_dies(tt_run):
        number = attempt("fails")
        assert number != 1
        if number == 2:
            os.abort()

    @pytest.fixture
    def deadly(tt_run):
        if attempt("setup") == 1:
            os.abort()

    def test_dies_in_setup(deadly): pass

    @pytest.fixture
    def untidy(tt_run):
        yield
        attempt("teardown")
        os.abort()

    def test_teardown_dies(untidy): pass

    def stands_still(terminal):
        terminal.line("+++++ Timeout +++++")
        terminal.line("~~~~~ Stack of MainThread (123) ~~~~~")
        terminal.line('  File "/x/_pytest/runner.py", line 1, in pytest_runtest_call')
        terminal.line("    item.runtest()")
        terminal.line('  File "/x/test_d.py", line 7, in helper')
        terminal.line("    event.wait()")
        terminal.line("+++++ Timeout +++++")
        terminal.flush()
        os._exit(1)

    def test_ends_with_words(tt_run, request):
        attempt("words")
        stands_still(request.config.get_terminal_writer())

    def test_last(tt_run): pass
"""


@pytest.mark.usefixtures("jax_cannot_start")
def test_a_dead_test_is_rerun_as_a_failed_one(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(reruns=RERUNS, test_d=DEADLY)
    result = run_tt("-p", "reruns", "--reruns", "2", "-v", *ISOLATED)
    result.assert_outcomes(passed=3, failed=1, errors=1)
    assert len([line for line in result.outlines if " RERUN " in line]) == 2 + 1 + 2
    attempts = {name: len((pytester.path / name).read_text()) for name in ("fails", "setup", "words", "teardown")}
    assert attempts == {"fails": 3, "setup": 2, "words": 3, "teardown": 1}  # a dead teardown is final
    found = reasons(pytester)
    assert {name: reason for name, reason in found.items() if reason is not None} == {
        "test_teardown_dies": "Failed: crashed with SIGABRT (Aborted) in its teardown",
        "test_ends_with_words": "Failed: was ended by pytest-timeout at test_d.py:7 in phase execute",
    }
    result.stdout.fnmatch_lines(
        [
            "was ended by pytest-timeout at test_d.py:7 in phase execute",
            "Last output (terminal):",
            "~* Stack of MainThread (123) ~*",
            '  File "/x/test_d.py", line 7, in helper',
            "    event.wait()",
            "tt: 4 tests crashed the test process",
        ]
    )
    result.stdout.no_fnmatch_line("*item.runtest()*")


def test_words_of_a_timeout() -> None:
    assert ended_by_timeout("something else") is None
    assert ended_by_timeout("++++ Timeout ++++\n++++ Timeout ++++") == "was ended by pytest-timeout"
    stacks = """~~~ Stack of MainThread (1) ~~~
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/x/pluggy/_callers.py", line 121, in _multicall
    res = hook_impl.function(*args)
          ^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/x/test_a.py", line 9, in test_a
    helper()
~~~ Stack of worker (2) ~~~
  File "/x/lib/threading.py", line 5, in wait
    pass"""
    assert readable_stacks(stacks).splitlines() == [
        "~~~ Stack of MainThread (1) ~~~",
        '  File "/x/test_a.py", line 9, in test_a',
        "    helper()",
        "~~~ Stack of worker (2) ~~~",
        '  File "/x/lib/threading.py", line 5, in wait',
        "    pass",
    ]


# What of coverage's interface is used, measuring calls of `visit`.
COVERAGE = """
    import json
    from pathlib import Path

    class CoverageException(Exception): pass

    class CoverageData:
        def __init__(self, basename):
            self.path, self.visited = Path(basename), []

        def read(self):
            try:
                self.visited = json.loads(self.path.read_text())
            except ValueError:
                raise CoverageException("not a data file") from None

        def update(self, other):
            self.visited += other.visited

        def close(self): pass

    class Coverage:
        latest = None

        def __init__(self, data_file, config_file):
            self.data, self.config, self.options = CoverageData(data_file), self, {}
            self.config_file, self.running = config_file, False

        def get_option(self, name):
            if name == "run:core":
                raise CoverageException("No such option")
            return self.options.get(name)

        def set_option(self, name, value):
            self.options[name] = value

        def start(self):
            Coverage.latest, self.running = self, True

        def stop(self):
            self.running = False

        def save(self):
            self.data.path.write_text(json.dumps(self.data.visited))

        def get_data(self):
            return self.data

        def current():
            return Coverage.latest

    def visit(what):
        measurement = Coverage.latest
        if measurement.running:
            how = [measurement.options[f"run:{name}"] for name in ("branch", "source")]
            measurement.data.visited.append([what, *how])
"""

MEASURES = """
    import coverage
    import pytest

    def pytest_configure(config):
        config.addinivalue_line("markers", "no_cover: not measured")
        if not hasattr(config, "workerinput"):
            config.measurement = coverage.Coverage("data", "rc")
            config.measurement.set_option("run:branch", True)
            config.measurement.set_option("run:source", ["here"])
            config.measurement.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(session):
        yield
        if hasattr(session.config, "measurement"):
            session.config.measurement.stop()
            session.config.measurement.save()
        return True
"""


@pytest.mark.usefixtures("jax_cannot_start")
def test_coverage_counts_what_children_ran(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        coverage=COVERAGE,
        measures=MEASURES,
        test_c="""
        import os
        import pytest
        from coverage import visit

        @pytest.fixture(scope="module")
        def shared():
            yield
            visit("teardown of module")

        def test_before(tt_run): visit("before")

        def test_dies(tt_run):
            visit("lost")
            os.abort()

        @pytest.mark.no_cover
        def test_not_measured(tt_run): visit("not measured")

        def test_after(tt_run, shared): visit("after")
        """,
    )
    result = run_tt("-p", "measures", *ISOLATED)
    result.assert_outcomes(passed=3, failed=1)
    visited = json.loads((pytester.path / "data").read_text(encoding="utf-8"))
    assert visited == [[what, True, ["here"]] for what in ("before", "after", "teardown of module")]
    result.stdout.fnmatch_lines(["tt: 1 test crashed the test process, so coverage may lack what ran there last"])


def test_coverage_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    module: Any = ModuleType("coverage")
    exec(cleandoc(COVERAGE), vars(module))
    monkeypatch.setitem(sys.modules, "coverage", module)
    assert running_measurement() is None
    module.Coverage("data", None).start()
    shared = SharedCoverage(running_measurement(), pytestconfig)
    message = shared.message()
    assert message["config_file"] is False
    assert "run:core" not in message["settings"]
    for name, text in (("1", '["one"]'), ("2", "no data"), ("3", '["three"]')):
        Path(message["directory"], name).write_text(text, encoding="utf-8")
    for pid in range(5):
        shared.take(pid)
    assert running_measurement().data.visited == ["one", "three"]
    assert shared.problem == "not a data file"
    shared.close()
    assert not Path(message["directory"]).exists()
