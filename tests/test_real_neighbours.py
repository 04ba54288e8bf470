"""``--tt-isolate`` beside other plugins as they are, one at a time: `nox -s neighbours` installs them."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    RunBeside = Callable[..., pytest.RunResult]

PLUGINS = ("pytest-cov", "pytest-randomly", "pytest-rerunfailures", "pytest-retry", "pytest-timeout")


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if not any(map(installed, PLUGINS)):
    pytest.skip(f"none of {', '.join(PLUGINS)} is installed", allow_module_level=True)

SUITE = """
    import os
    import random
    import time
    from pathlib import Path
    import pytest
    import measured

    pytestmark = pytest.mark.tt(mesh="1x2")

    def attempt(name):
        with open(name, "a") as file:
            file.write("x")
        return len(Path(name).read_text())

    @pytest.mark.parametrize("n", range(5))
    def test_n(tt_run, n):
        print("drawn", n, random.random())
        measured.calls()

    def test_fails_once(tt_run):
        assert attempt("fails") > 1

    def test_dies_once(tt_run):
        if attempt("dies") == 1:
            os.abort()
"""


@pytest.fixture
def run_beside(pytester: pytest.Pytester, run_tt: RunBeside, monkeypatch: pytest.MonkeyPatch) -> RunBeside:
    """Run the suite with one plugin, by its distribution and its name, and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(measured="def calls():\n    return 1\n\n\ndef never():\n    return 2\n", test_s=SUITE)

    def run(distribution: str, name: str, *args: str) -> pytest.RunResult:
        if not installed(distribution):
            pytest.skip(f"{distribution} is not installed")
        for path in ("fails", "dies"):
            (pytester.path / path).unlink(missing_ok=True)
        return run_tt("-p", name, "-rA", *args)

    return run


def test_randomly(run_beside: RunBeside) -> None:
    seen = []
    for isolate in ("--tt-isolate", "--no-tt-isolate"):
        result = run_beside("pytest-randomly", "randomly", "-v", "--randomly-seed=7", "-k", "test_n", isolate)
        result.assert_outcomes(passed=5)
        order = [line.partition(" PASSED")[0] for line in result.outlines if " PASSED " in line]
        seen.append((order, sorted(line for line in result.outlines if line.startswith("drawn "))))
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == len(seen[0][1]) == 5
    # Without a seed the child has the parent's.
    run_beside("pytest-randomly", "randomly", "--tt-isolate", "-k", "test_n").assert_outcomes(passed=5)


def test_retry(run_beside: RunBeside) -> None:
    result = run_beside("pytest-retry", "pytest-retry", "--retries", "1", "--tt-isolate")
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(
        [
            "*test_fails_once failed on attempt 1! Retrying!*",
            "*test_fails_once passed on attempt 2!*",
            "*test_dies_once failed on attempt 1! Retrying!*",
            "*Failed: crashed with SIGABRT (Aborted) in phase execute*",
            "*test_dies_once passed on attempt 2!*",
            "*7 passed, 2 retried*",
        ]
    )


def test_rerunfailures(run_beside: RunBeside) -> None:
    result = run_beside("pytest-rerunfailures", "rerunfailures", "--reruns", "1", "--tt-isolate")
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["*7 passed, 2 rerun*"])
    result = run_beside("pytest-rerunfailures", "rerunfailures", "--reruns", "1", "--fail-on-flaky", "--tt-isolate")
    assert result.ret == 7


def test_timeout(pytester: pytest.Pytester, run_beside: RunBeside) -> None:
    pytester.makepyfile(
        test_s="""
        import time
        def test_slow(tt_run):
            print("about to sleep")
            time.sleep(600)
        def test_after(tt_run): pass
        """
    )
    for method, reason in (
        ("thread", "Failed: was ended by pytest-timeout at test_s.py:4 in phase execute"),
        ("signal", "Failed: Timeout "),
    ):
        result = run_beside(
            *("pytest-timeout", "timeout", "--timeout", "2", "--timeout-method", method),
            *("--tt-isolate", "--tt-results", "r.json"),
        )
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["about to sleep"])
        row, _ = json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))["tests"]
        assert row["reason"].startswith(reason)


def test_cov(pytester: pytest.Pytester, run_beside: RunBeside) -> None:
    (pytester.path / "rc").write_text("[run]\nbranch = true\nparallel = true\n", encoding="utf-8")
    args = ("--cov=measured", "--cov=test_s", "--cov-report=term-missing", "--cov-config=rc", "-k", "test_n")
    tables = []
    for isolate in ("--tt-isolate", "--no-tt-isolate"):
        result = run_beside("pytest-cov", "pytest_cov", *args, isolate)
        result.assert_outcomes(passed=5)
        tables.append([line for line in result.outlines if re.match(r"(measured.py|test_s.py|TOTAL) +\d+ ", line)])
    assert tables[0] == tables[1]
    assert len(tables[0]) == 3
    assert tables[0][0].split()[1:3] == ["4", "1"]  # the body of `never` alone is missing
    result = run_beside("pytest-cov", "pytest_cov", *args[:-2], "--cov-context=test", "--tt-isolate")
    result.assert_outcomes(passed=5, failed=2)
    result.stdout.fnmatch_lines(["tt: 1 test crashed the test process, so coverage may lack what ran there last"])
    coverage = pytest.importorskip("coverage")
    data = coverage.CoverageData(basename=str(pytester.path / ".coverage"))
    data.read()
    assert "test_s.py::test_n[0]|run" in data.measured_contexts()
    data.close()


def test_coverage_run(pytester: pytest.Pytester, run_beside: RunBeside) -> None:
    coverage = pytest.importorskip("coverage")
    pytester.makepyfile(test_s="import measured\ndef test_n(tt_run): measured.calls()")
    pytest_tt = ("-m", "pytest", "-p", "pytest_tt", "--tt-isolate")
    pytester.run(sys.executable, "-m", "coverage", "run", "--source=.", *pytest_tt).assert_outcomes(passed=1)
    data = coverage.CoverageData(basename=str(pytester.path / ".coverage"))
    data.read()
    assert data.lines(str(pytester.path / "measured.py")) == [1, 2, 5]
    data.close()
