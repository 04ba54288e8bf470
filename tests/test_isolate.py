"""``--tt-isolate``: a test that crashes its process fails alone, and everything else is as without the option."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.compiler.cache import CompileCache
from pytest_tt.isolation.crash import describe_exit, readable_dump, tail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    RunTT = Callable[..., pytest.RunResult]

ISOLATED = ("--tt-isolate", "--tt-results", "r.json")


def rows(pytester: pytest.Pytester, name: str = "r.json") -> dict[str, dict[str, Any]]:
    """The rows of the results document, by the names of the tests."""
    document = json.loads((pytester.path / name).read_text(encoding="utf-8"))
    return {row["nodeid"].partition("::")[2]: row for row in document["tests"]}


DEADLY = """
    import os
    import pathlib
    import resource
    import time
    import jax
    import numpy as np
    import pytest

    pytestmark = pytest.mark.tt(mesh="1x2")

    def healthy(tt_jit):
        assert tt_jit(lambda x: x + 1)(np.ones(4, np.float32)).sum() == 8

    def test_first(tt_jit):
        healthy(tt_jit)

    def test_aborts(tt_jit):
        def traced(x):
            print("about to abort")
            os.abort()
        tt_jit(traced)(1.0)

    def test_second(tt_jit):
        healthy(tt_jit)

    @pytest.fixture
    def endless(tt_mesh):
        print("waiting for ever")
        while True:
            time.sleep(1)

    def test_hangs(endless): pass

    def test_third(tt_jit):
        healthy(tt_jit)

    def test_allocates(tt_mesh):
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, resource.RLIM_INFINITY))
        blocks = []
        while True:
            blocks.append(bytearray(2**20))

    def test_fourth(tt_jit):
        assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
        healthy(tt_jit)

    def test_exits(tt_mesh):
        os._exit(3)

    def test_last(tt_jit):
        healthy(tt_jit)
"""


@pytest.mark.parametrize(
    "workers",
    [
        0,
        pytest.param(
            2,
            marks=pytest.mark.skipif(
                not os.environ.get("ZOO_SLOW"), reason="takes long: set ZOO_SLOW=1, as nox's session slow does"
            ),
        ),
    ],
)
def test_deadly_tests_among_healthy_ones(pytester: pytest.Pytester, run_tt: RunTT, workers: int) -> None:
    if workers:
        pytest.importorskip("xdist")
    pytester.makepyfile(test_d=DEADLY)
    result = run_tt(*ISOLATED, "--tt-timeout", "3", *(("-n", str(workers)) if workers else ()))
    # A crash in the setup is an error of the setup, as usual.
    result.assert_outcomes(passed=5, failed=3, errors=1)
    assert "crashed while running" not in result.stdout.str()  # no worker of xdist crashed
    found = rows(pytester)
    assert {name: (row["outcome"], row["phase"], row["reason"]) for name, row in found.items()} == {
        "test_first": ("passed", "execute", None),
        "test_aborts": ("failed", "trace", "Failed: crashed with SIGABRT (Aborted) in phase trace"),
        "test_second": ("passed", "execute", None),
        "test_hangs": ("failed", "setup", "Failed: timed out after 3 s (--tt-timeout) in phase setup"),
        "test_third": ("passed", "execute", None),
        "test_allocates": ("failed", "execute", "MemoryError"),
        "test_fourth": ("passed", "execute", None),
        "test_exits": (
            *("failed", "execute"),
            "Failed: ended its process with exit status 3 (os._exit, or exit in native code) in phase execute",
        ),
        "test_last": ("passed", "execute", None),
    }
    assert all((row["mesh"], row["backend"]) == ("1x2", "sim") for row in found.values())
    # In whatever order two workers run them.
    assert re.search(r"_ test_aborts _.*?\n(?:.*\n)*?Where it was:\nFatal Python error: Aborted\n", result.stdout.str())
    result.stdout.fnmatch_lines(['  File "*test_d.py", line * in traced', "Last output (stdout):", "about to abort"])
    result.stdout.fnmatch_lines(['  File "*test_d.py", line * in endless', "Last output (stdout):", "waiting for ever"])
    # Nothing of the dead is left in the compile cache.
    assert not list((pytester.path / ".pytest_cache/d/tt-compiled").glob("running-*"))


MIXED = {
    "conftest": """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.sections.append(("from conftest", item.name))
            return report
    """,
    "test_a": """
        import os
        import sys
        import unittest
        import warnings
        import pytest

        SEEN = []

        @pytest.fixture(scope="module")
        def module_wide():
            SEEN.append("set up")
            yield SEEN
            print("module torn down")

        class TestClass:
            @pytest.fixture(scope="class", autouse=True)
            def class_wide(self, module_wide):
                module_wide.append("class")

            def test_one(self, tt_run, module_wide):
                assert module_wide == ["set up", "class"]

            def test_two(self, module_wide):
                assert module_wide == ["set up", "class"]

        @pytest.mark.tt(mesh=["1x2", "1x4"])
        @pytest.mark.parametrize("text", ["a b", "é", "x::y[z]"])
        def test_parameters(tt_run, text): pass

        def test_prints(tt_run, record_property):
            print("to stdout")
            os.system("echo from a process")
            print("to stderr", file=sys.stderr)
            record_property("colour", "red")
            assert {"a": 1, "b": [1, 2]} == {"a": 1, "b": [1, 3]}

        @pytest.mark.skip(reason="not today")
        def test_skipped(tt_run): pass

        @pytest.mark.xfail(reason="known")
        def test_known(tt_run): raise ValueError("as known")

        @pytest.mark.xfail(reason="believed", strict=True)
        def test_unexpected(tt_run): pass

        def test_skips_itself(): pytest.skip("now")

        def test_warns(tt_run): warnings.warn("careful", UserWarning)

        @pytest.fixture
        def broken(): raise RuntimeError("no such thing")

        def test_setup_fails(broken): pass

        @pytest.fixture
        def untidy():
            yield
            raise RuntimeError("teardown went wrong")

        def test_teardown_fails(untidy, tt_run): pass

        def test_dynamic(request):
            assert str(request.getfixturevalue("tt_run").mesh) == "1x1"

        class TestUnit(unittest.TestCase):
            def test_unit(self): self.assertEqual(1, 2)
    """,
    "test_b": """
        def test_captures(capfd, tt_run):
            print("hidden")
            assert capfd.readouterr().out == "hidden\\n"

        def test_tmp(tmp_path, worker_id="master"):
            (tmp_path / "x").write_text("y")

        def test_last(tt_run, worker=None): pass
    """,
}


def facts(result: pytest.RunResult, pytester: pytest.Pytester) -> dict[str, Any]:
    """Everything of a run that must not depend on where its tests are executed."""
    # Lines that say how long something took or how tests are run, and empty ones.
    text = [line for line in result.outlines if not re.search(r"^(tt: |collecting )|\d\.\d+s( =+)?$|^$", line)]
    junit = ET.parse(pytester.path / "j.xml").getroot()
    for element in junit.iter():
        for attribute in ("time", "timestamp"):
            element.attrib.pop(attribute, None)
        if element.get("name") == "tt_timing":
            element.attrib.pop("value")
    found = rows(pytester)
    for row in found.values():
        row["timing"] = {key: value is not None for key, value in row["timing"].items()}
    return {
        "summary": re.sub(r" in [\d.]+s", "", result.outlines[-1]),
        "text": [re.sub(r"0x[0-9a-f]+", "0x", line) for line in text],
        "junit": re.sub(r"0x[0-9a-f]+", "0x", ET.tostring(junit, encoding="unicode")),
        "rows": found,
        "last failed": json.loads((pytester.path / ".pytest_cache/v/cache/lastfailed").read_text(encoding="utf-8")),
        "status": result.ret,
    }


@pytest.mark.parametrize(
    "args",
    [
        ("-v", "-rA", "-o", "junit_logging=all"),
        ("--lf", "-q", "-s", "--tb=short", "-p", "no:xdist", "--maxfail=2", "-k", "not known"),
    ],
    ids=["all", "some"],
)
def test_everything_else_is_as_without(pytester: pytest.Pytester, run_tt: RunTT, args: tuple[str, ...]) -> None:
    pytester.makeconftest(MIXED["conftest"])
    pytester.makepyfile(test_a=MIXED["test_a"], test_b=MIXED["test_b"])
    cache = pytester.path / ".pytest_cache/v/cache"
    cache.mkdir(parents=True)
    failed = json.dumps(
        dict.fromkeys(("test_a.py::test_known", "test_a.py::test_prints", "test_a.py::TestUnit::test_unit"), True)
    )
    common = (*args, "-Wdefault", "-o", "junit_family=xunit1", "--tt-results", "r.json", "--junitxml", "j.xml")
    outcomes = []
    for isolate in ("--no-tt-isolate", "--tt-isolate"):
        (cache / "lastfailed").write_text(failed)
        outcomes.append(facts(run_tt(*common, isolate), pytester))
    plain, isolated = outcomes
    assert plain["rows"]
    for key, value in plain.items():
        assert isolated[key] == value, key


@pytest.mark.usefixtures("jax_cannot_start")
def test_deaths_of_other_kinds(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """In a teardown, as expected, between two tests, by a signal that we did not send; fixtures are set up again."""
    pytester.makepyfile(
        test_o="""
        import atexit
        import os
        import signal
        import threading
        import time
        import pytest

        @pytest.fixture(scope="module")
        def process():
            return os.getpid()

        @pytest.fixture
        def deadly(tt_run):
            yield
            os.kill(os.getpid(), signal.SIGSEGV)

        def test_teardown(deadly): pass

        @pytest.mark.xfail(reason="known to crash")
        def test_expected(tt_run, process):
            assert os.getpid() == process
            os.kill(os.getpid(), signal.SIGKILL)

        @pytest.mark.xfail(reason="of another kind", raises=ValueError)
        def test_not_so(tt_run): os.kill(os.getpid(), signal.SIGKILL)

        def test_leaves_something(tt_run):
            threading.Timer(0.3, os._exit, [7]).start()

        def test_waits(tt_run): time.sleep(60)

        @pytest.mark.parametrize("n", [1, 2])
        def test_same_process(process, n): assert os.getpid() == process

        def test_last(): atexit.register(os.abort)
        """
    )
    result = run_tt(*ISOLATED, "-rxX")
    result.assert_outcomes(passed=5, failed=2, errors=1, xfailed=1)
    assert {name: row["reason"] for name, row in rows(pytester).items()} == {
        "test_teardown": "Failed: crashed with SIGSEGV (Segmentation fault) in its teardown",
        "test_expected": "known to crash",
        "test_not_so": "Failed: crashed with SIGKILL (Killed, not by this run: perhaps out of memory) in phase execute",
        "test_leaves_something": None,
        "test_waits": "Failed: ended its process with exit status 7 (os._exit, or exit in native code) in phase "
        "execute",
    }
    ended = "tt: the test process crashed with SIGABRT (Aborted) when it ended, after its last test"
    result.stdout.fnmatch_lines([ended, "tt: 4 tests crashed the test process"])


def test_stops_where_a_run_without_would(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_runtest_call(item):
            if item.name == "test_stops_session":
                item.session.shouldstop = "by a hook"

        @pytest.hookimpl(trylast=True)
        def pytest_runtest_logfinish(nodeid):
            if "breaks" in nodeid:
                raise RuntimeError("a plugin is broken")
        """
    )
    for name, body, status, text in [
        ("exits", "pytest.exit('enough', 5)", 5, "!* enough !*"),
        ("stops_session", "pass", 2, "!* by a hook !*"),
        ("breaks", "pass", 3, "INTERNALERROR> *RuntimeError: a plugin is broken"),
    ]:
        pytester.makepyfile(
            test_s=f"""
            import pytest
            @pytest.fixture(scope="session", autouse=True)
            def resource():
                yield
                open("released", "w").close()
            def test_{name}(tt_run): {body}
            def test_after(tt_run): open("went on", "w").close()
            """
        )
        result = run_tt("--tt-isolate")
        assert result.ret == status
        result.stdout.fnmatch_lines([text])
        assert not (pytester.path / "went on").exists()
        (pytester.path / "released").unlink()


HANGS = """
    import os
    import time
    from pathlib import Path

    def test_hangs(tt_run):
        Path("pid").write_text(str(os.getpid()))
        Path("running").touch()
        time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether process `pid` runs; one that is dead but not yet waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_child_outlives_its_parent(pytester: pytest.Pytester, number: signal.Signals) -> None:
    pytester.makepyfile(test_h=HANGS)
    command = [sys.executable, "-m", "pytest", "-p", "pytest_tt", "--tt-isolate", "--tt-results", "r.json"]
    reason = "not finished: the run ended during this test"
    parent = subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True)
    try:
        while not (pytester.path / "running").exists():
            assert parent.poll() is None
            time.sleep(0.02)
        child = int((pytester.path / "pid").read_text())
        assert alive(child)
        limit = time.monotonic() + 20  # the parent reads of the set-up when it is next scheduled
        while {row["reason"] for row in rows(pytester).values()} != {reason} and time.monotonic() < limit:
            time.sleep(0.02)
        parent.send_signal(number)
        output, _ = parent.communicate(timeout=60)
    finally:
        parent.kill()
    limit = time.monotonic() + 20
    while alive(child) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not alive(child)
    assert parent.returncode == (pytest.ExitCode.INTERRUPTED if number == signal.SIGINT else -number)
    assert ("KeyboardInterrupt" in output) == (number == signal.SIGINT)
    assert [(row["outcome"], row["reason"]) for row in rows(pytester).values()] == [("failed", reason)]


def test_a_child_that_differs(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """It has collected other tests, and the run goes on; or it cannot be configured, and the run ends."""
    pytester.makeconftest(
        """
        import os
        import pytest

        def pytest_configure(config):
            if hasattr(config, "workerinput") and "BROKEN" in os.environ:
                raise pytest.UsageError("not in a worker")
        """
    )
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.parametrize("n", [os.getpid()])
        def test_differs(tt_run, n): pass

        def test_same(tt_run): pass
        """
    )
    result = run_tt("--tt-isolate")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the test process has not collected this test: every process must collect the same*"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKEN", "1")
        result = run_tt("--tt-isolate")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the test process cannot be set up: *conftest.py raised *UsageError: not in a worker"])


def test_who_runs_the_tests(pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\ntt_isolate = true\ntt_timeout = 60")
    pytester.makepyfile(
        test_tt="""
        import os
        def test_a(tt_run, request): assert hasattr(request.config, "workerinput") == ("ALONE" not in os.environ)
        """,
        test_other="def test_b(request): assert not hasattr(request.config, 'workerinput')",
    )
    result = run_tt("test_tt.py")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["tt: *, isolate (ini tt_isolate; timeout 60 s, ini tt_timeout)"])
    # A run in which no test uses chips pays nothing.
    run_tt("test_other.py").assert_outcomes(passed=1)
    monkeypatch.setenv("ALONE", "1")
    monkeypatch.setenv("PYTEST_TT_ISOLATE", "0")
    result = run_tt("test_tt.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("tt: *isolate*")
    result = run_tt("test_tt.py", "--tt-isolate", "--setup-show")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["tt: *, isolate off (--setup-show)", "*SETUP    F tt_run*"])
    result = run_tt("test_tt.py", "--no-tt-isolate", "--tt-timeout", "5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --tt-timeout 5: a test that hangs can be ended only in a process of its own:*"]
    )


def test_words_for_exits() -> None:
    assert describe_exit(-signal.SIGFPE) == "crashed with SIGFPE (Floating point exception)"
    killed = describe_exit(-signal.SIGKILL)
    assert killed.startswith("crashed with SIGKILL (Killed, not by this run: perhaps out of memory")
    assert describe_exit(-62) == "crashed with signal 62"
    assert describe_exit(0).startswith("ended its process with exit status 0 ")


def test_dump_shows_the_test_and_no_frames_of_pytest() -> None:
    dump = """Fatal Python error: Aborted

Thread 0x00007f0000000001 (most recent call first):
  File "/x/site-packages/_pytest/runner.py", line 1 in f

Current thread 0x00007f0000000002 (most recent call first):
  File "/x/test_a.py", line 3 in helper
  File "/x/test_a.py", line 9 in test_a
  File "/x/site-packages/_pytest/python.py", line 157 in pytest_pyfunc_call
  File "/x/site-packages/pluggy/_callers.py", line 121 in _multicall
  File "/x/pytest_tt/isolation/bootstrap.py", line 50 in main
  File "/x/run.py", line 5 in <module>

Extension modules: numpy._core._multiarray_umath, jaxlib.utils (total: 2)
"""
    assert readable_dump(dump).splitlines() == [
        "Fatal Python error: Aborted",
        "",
        "",
        "Current thread 0x00007f0000000002 (most recent call first):",
        '  File "/x/test_a.py", line 3 in helper',
        '  File "/x/test_a.py", line 9 in test_a',
    ]


def test_tail_of_a_long_output(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text("".join(f"line {n}\n" for n in range(100_000)), encoding="utf-8")
    with path.open("rb") as file:
        lines = tail(file.fileno()).splitlines()
        assert file.tell() == 0
    assert lines[0] == "[…]"
    assert lines[-1] == "line 99999"
    assert len(lines) == 41


def test_compiled_programs_outlive_their_process(tmp_path: Path) -> None:
    cache = CompileCache(tmp_path)
    (working,) = tmp_path.glob(f"running-{os.getpid()}-*")
    for name in ("whole-cache", "being-written-cache"):
        (working / name).touch()
    os.utime(working / "whole-cache", (time.time() - 60,) * 2)
    cache.keep()
    assert [path.name for path in tmp_path.glob("*-cache")] == ["whole-cache"]
    cache.remove_working(os.getpid() + 1)
    assert working.exists()
    cache.remove_working(os.getpid())
    assert not working.exists()
    assert (tmp_path / "whole-cache").exists()
