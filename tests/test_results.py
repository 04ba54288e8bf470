"""The results document and the JUnit properties: a row for every tt test, whatever became of it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.files import write_atomically
from pytest_tt.results.row import Row, to_properties, update_from_properties

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    RunTT = Callable[..., pytest.RunResult]

SUITE = """
    import jax
    import jax.numpy as jnp
    import numpy as np
    import pytest
    from jax.sharding import PartitionSpec as P

    X = np.ones((8, 8), np.float32)

    def test_no_tt(): pass

    @pytest.mark.tt(mesh=["1x2", "1x4"])
    def test_product(tt_jit):
        f = tt_jit(jnp.matmul, in_shardings=(P(None, "model"), P("model", None)), out_shardings=P())
        f(X, X)
        f(X, X)

    @pytest.mark.tt(mesh="1x2")
    def test_wrong(tt_mesh):
        assert 1 == 2, "not equal"

    def test_fails_to_trace(tt_jit):
        tt_jit(lambda x: x @ x[:3])(X)

    @pytest.mark.tt(mesh="1x2")
    @pytest.mark.skip(reason="not today")
    def test_skipped(tt_mesh): pass

    @pytest.mark.xfail(reason="known", strict=True)
    def test_known(tt_mesh): raise ValueError("as known")

    @pytest.fixture
    def broken(): raise RuntimeError("no such thing")

    def test_setup_fails(tt_mesh, broken): pass

    @pytest.fixture
    def untidy():
        yield
        raise RuntimeError("teardown went wrong")

    def test_teardown_fails(tt_mesh, untidy): pass
"""


def document(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def without_times(data: dict[str, Any]) -> dict[str, Any]:
    for key in ("start", "duration_s"):
        assert data["run"].pop(key) is not None
    for row in data["tests"]:
        row["timing"] = {key: value is not None for key, value in row["timing"].items()}
    return data


def test_document(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(test_s=SUITE)
    result = run_tt("--tt-results", "out/r.json", "--junitxml", "junit.xml")
    result.stdout.fnmatch_lines(["tt: results of 8 tests in *r.json"])
    data = document(pytester.path / "out" / "r.json")
    assert data["schema"] == 1
    run = data["run"]
    assert set(run) == {"versions", "backend", "backend_source", "system", "chips", "commit", "start", "duration_s"}
    assert set(run["versions"]) == {"pytest_tt", "pytest", "jax", "jaxlib", "flax", "numpy", "pjrt_plugin_tt", "python"}
    assert (run["backend"], run["versions"]["pytest_tt"]) == ("sim", "0.1.0")
    rows = {row["nodeid"].removeprefix("test_s.py::"): row for row in data["tests"]}
    assert list(rows) == [
        *("test_product[1x2]", "test_product[1x4]", "test_wrong", "test_fails_to_trace", "test_skipped", "test_known"),
        *("test_setup_fails", "test_teardown_fails"),
    ]
    assert {name: (row["outcome"], row["phase"], row["reason"]) for name, row in rows.items()} == {
        "test_product[1x2]": ("passed", "execute", None),
        "test_product[1x4]": ("passed", "execute", None),
        "test_wrong": ("failed", "execute", "AssertionError: not equal"),
        "test_fails_to_trace": ("failed", "trace", rows["test_fails_to_trace"]["reason"]),
        "test_skipped": ("skipped", "setup", "not today"),
        "test_known": ("xfailed", "execute", "known"),
        "test_setup_fails": ("failed", "setup", "RuntimeError: no such thing"),
        "test_teardown_fails": ("failed", "execute", "RuntimeError: teardown went wrong"),
    }
    assert rows["test_fails_to_trace"]["reason"].startswith("TypeError: ")
    product = rows["test_product[1x4]"]
    assert (product["mesh"], product["backend"], product["system"]) == ("1x4", "sim", None)
    assert product["collectives"] == {"all-reduce": 1}
    assert product["bytes_per_chip"] >= 2 * 64 + 256
    assert all(value > 0 for value in product["timing"].values())

    cases = {case.get("name"): case for case in ET.parse(pytester.path / "junit.xml").iter("testcase")}
    properties = {p.get("name"): p.get("value") for p in cases["test_product[1x4]"].iter("property")}
    assert properties["tt_mesh"] == "1x4"
    assert json.loads(properties["tt_collectives"] or "") == {"all-reduce": 1}
    assert not list(cases["test_no_tt"].iter("property"))


def test_same_under_xdist(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(test_s=SUITE)
    plain = run_tt("--tt-results", "plain.json").parseoutcomes()
    parallel = run_tt("--tt-results", "parallel.json", "-n", "2").parseoutcomes()
    parallel.pop("worker", None), parallel.pop("workers", None)
    assert plain == parallel
    first, second = (without_times(document(pytester.path / name)) for name in ("plain.json", "parallel.json"))
    assert first == second


CRASHES = """
    import os
    import pytest

    @pytest.mark.tt(mesh="1x2")
    def test_before(tt_mesh): pass

    @pytest.mark.tt(mesh="1x2")
    def test_dies(tt_jit):
        tt_jit(lambda x: os._exit(3))(1.0)

    @pytest.mark.tt(mesh="1x2")
    def test_after(tt_mesh): pass
"""


def test_crash_leaves_failed_rows(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """Without xdist the document says what had happened until then, and that the rest did not run."""
    pytester.makepyfile(test_c=CRASHES)
    assert run_tt("--tt-results", "r.json").ret == 3
    rows = document(pytester.path / "r.json")["tests"]
    assert [(row["nodeid"], row["outcome"]) for row in rows[1:]] == [
        ("test_c.py::test_dies", "failed"),
        ("test_c.py::test_after", "failed"),
    ]
    assert rows[2]["reason"] == "not run: the run ended before this test"


def test_crashed_worker_leaves_a_failed_row(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(test_c=CRASHES)
    run_tt("--tt-results", "r.json", "-n", "1").assert_outcomes(passed=2, failed=1)
    rows = {row["nodeid"]: row for row in document(pytester.path / "r.json")["tests"]}
    assert [row["outcome"] for row in rows.values()] == ["passed", "failed", "passed"]
    crashed = rows["test_c.py::test_dies"]
    assert crashed["phase"] == "trace"
    assert "crashed while running" in crashed["reason"]


def test_a_test_that_never_ended_is_not_passed(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """Its set-up passed; a process that dies after that, or is stopped, has shown nothing."""
    pytester.makepyfile(
        test_k="""
        import os, signal, time, pytest

        @pytest.fixture
        def slow():
            time.sleep(2)  # so that the document is due again, even where writing it takes 50 ms

        def test_first(tt_run): pass
        def test_stopped(tt_run, slow):
            if "KILL" in os.environ:
                os.kill(os.getpid(), signal.SIGKILL)
            pytest.exit("enough")
        def test_last(tt_run): pass
        """
    )

    def rows() -> list[tuple[str, str]]:
        return [(row["outcome"], row["reason"]) for row in document(pytester.path / "r.json")["tests"]]

    expected = [
        ("passed", None),
        ("failed", "not finished: the run ended during this test"),
        ("failed", "not run: the run ended before this test"),
    ]
    run_tt("--tt-results", "r.json")
    assert rows() == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILL", "1")
        run_tt("--tt-results", "r.json")
    assert rows() == expected


def test_unusable_places_are_one_line(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("def test_a(tt_run): pass")
    (pytester.path / "folder").mkdir()
    (pytester.path / "file").touch()
    long = "x" * 300
    for args, message in [
        (
            ("--tt-results", "folder"),
            "ERROR: --tt-results: *folder is not a regular file: expected the name of*",
        ),
        (("--tt-results", "/dev/null"), "ERROR: --tt-results: /dev/null is not a regular file*"),
        (("--tt-results", "file/r.json"), "ERROR: --tt-results: *file/r.json cannot be written (*"),
        (("--tt-results", long), "ERROR: --tt-results: * cannot be written (File name too long)*"),
        (("--tt-artifacts", "file"), "ERROR: --tt-artifacts: *file cannot be used (File exists)*"),
        (("--tt-compile-cache", "file"), "ERROR: --tt-compile-cache: file cannot be used (File exists)*or off"),
    ]:
        result = run_tt(*args)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([message])
        result.stderr.no_fnmatch_line("*Traceback*")


def test_link_is_followed(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("def test_a(tt_run): pass")
    (pytester.path / "link.json").symlink_to(pytester.path / "real.json")
    run_tt("--tt-results", "link.json").assert_outcomes(passed=1)
    assert (pytester.path / "link.json").is_symlink()
    assert len(document(pytester.path / "real.json")["tests"]) == 1


def test_retry_starts_its_row_anew(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    """As pytest-rerunfailures does it: the test's protocol is run once more."""
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            runtestprotocol(item, nextitem=nextitem, log=False)
            item._initrequest()
            for report in runtestprotocol(item, nextitem=nextitem, log=False):
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    pytester.makepyfile(
        """
        import numpy as np
        from jax.sharding import PartitionSpec as P
        TRIES = []

        def test_flaky(tt_jit):
            TRIES.append(1)
            tt_jit(lambda x: x.sum(), in_shardings=P("model"), out_shardings=P())(np.ones(4, np.float32))
            assert len(TRIES) == 2
        """
    )
    run_tt("--tt-mesh", "1x2", "--tt-results", "r.json")
    (row,) = document(pytester.path / "r.json")["tests"]
    assert (row["outcome"], row["collectives"]) == ("passed", {"all-reduce": 1})


def test_asked_for_at_run_time(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        test_d="""
        def test_dynamic(request):
            assert request.getfixturevalue("tt_mesh").devices.size == 2
        """
    )
    run_tt("--tt-mesh", "1x2", "--tt-results", "r.json").assert_outcomes(passed=1)
    (row,) = document(pytester.path / "r.json")["tests"]
    assert (row["nodeid"], row["outcome"], row["mesh"]) == ("test_d.py::test_dynamic", "passed", "1x2")
    run_tt("--tt-mesh", "1x2", "--tt-system", "n150").assert_outcomes(skipped=1)


def test_infinite_metrics_are_null() -> None:
    row = Row("a.py::b", metrics={"c": {"pcc": float("nan"), "max_abs": float("inf"), "leaf": "x"}})
    assert json.loads(json.dumps(row.to_json(), allow_nan=False))["metrics"] == {
        "c": {"pcc": None, "max_abs": None, "leaf": "x"}
    }


def test_stopped_run_keeps_rows_of_tests_that_never_ran(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        test_x="""
        def test_a(tt_run): assert False
        def test_b(tt_run): pass
        """
    )
    run_tt("-x", "--tt-results", "r.json")
    assert [row["reason"] for row in document(pytester.path / "r.json")["tests"]] == [
        "assert False",
        "not run: the run ended before this test",
    ]


def test_user_properties_of_others_stay(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("def test_a(tt_run, record_property): record_property('tt_owner', 'me')")
    run_tt("--junitxml", "j.xml", "-o", "junit_family=xunit1").assert_outcomes(passed=1)
    assert '<property name="tt_owner" value="me"' in (pytester.path / "j.xml").read_text(encoding="utf-8")


def test_row_survives_the_trip_through_properties() -> None:
    row = Row("a.py::b", mesh="1x2", backend="sim", phase="compare", metrics={"c": {"pcc": 0.5}}, collectives={})
    row.timing["run_s"] = 0.25
    arrived = Row("a.py::b", collectives={"all-reduce": 1})
    update_from_properties(arrived, to_properties(row))
    expected = Row("a.py::b", mesh="1x2", backend="sim", phase="compare", metrics={"c": {"pcc": 0.5}}, collectives={})
    expected.timing["run_s"] = 0.25
    assert arrived == expected


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
