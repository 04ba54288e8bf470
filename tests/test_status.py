"""The status file: what it may say, which tests it selects, and what it changes."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.cli import main
from pytest_tt.status.entry import CollectedTest, matches, names_test
from pytest_tt.status.file import KEYS, StatusError, read_statuses
from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    RunTT = Callable[..., pytest.RunResult]

FULL = '''
# why we wait
[[status]]
model = "gpt2"
variant = ["tiny", "gpt2*"]
tests = "zoo/*"
mesh = ["1x8", "2x4"]
system = "t3k"
backend = "hw"
outcome = "xfail"
reason = """gather slice_sizes are
  not localised"""
issue = "tenstorrent/tt-mlir#6653"
since = 2026-08-21
# about the next

[[status]]
tests = ["tests/test_a.py::test_b"]
bounds = {pcc = 0.97, rel_l2 = 0.3}
reason = "bfloat16"
'''


def write(folder: Path, text: str) -> Path:
    path = folder / "tt_status.toml"
    path.write_text(text)
    return path


def test_everything_is_read(tmp_path: Path) -> None:
    first, second = read_statuses(write(tmp_path, FULL), "tt_status.toml").entries
    assert (first.place, second.place) == ("tt_status.toml:3", "tt_status.toml:17")
    assert (first.lines[0], first.lines[-1]) == ("[[status]]", "since = 2026-08-21")
    assert (first.model, first.variant, first.tests) == (("gpt2",), ("tiny", "gpt2*"), ("zoo/*",))
    assert (first.mesh, first.system, first.backend) == ((MeshShape(1, 8), MeshShape(2, 4)), ("t3k",), "hw")
    assert (first.outcome, first.bounds, first.since) == ("xfail", {}, date(2026, 8, 21))
    assert first.because == "gather slice_sizes are not localised (tenstorrent/tt-mlir#6653)"
    assert (second.outcome, second.bounds, second.issue) == (None, {"pcc": 0.97, "rel_l2": 0.3}, None)
    assert read_statuses(write(tmp_path, "")).entries == ()


ENTRY = '[[status]]\nmodel = "gpt2"\noutcome = "skip"\nreason = "why"\n'
TOMORROW = date.today() + timedelta(days=40)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY + "[[", "S: is not TOML: "),
        ("[[statuses]]", "S: 'statuses' is not read (did you mean status?): expected [[status]] tables only"),
        ("[status]\nmodel = 'x'", "S: [status] is one table: write [[status]], with two brackets"),
        ("status = [1]", "S: entry 1: expected a [[status]] table, found 1"),
        (
            "\n" + ENTRY + "resaon = 'x'",
            "S:2: 'resaon' is not a key of a status (did you mean reason?): expected some of mo",
        ),
        (ENTRY + "mesh = '8by4'", "S:1: '8by4' is not a mesh: expected ROWSxCOLS"),
        (ENTRY + "mesh = []", "S:1: mesh: expected a text or a list of texts, found []"),
        (ENTRY + "mesh = ['1x2', '1x2']", "S:1: mesh: '1x2' is listed twice"),
        (ENTRY + "system = 't3000'", "S:1: 't3000' is not a system (did you mean t3k?): expected one of n150"),
        (ENTRY + "backend = 'hww'", "S:1: backend: 'hww' is unknown (did you mean hw?): expected sim, emu or hw"),
        (
            ENTRY.replace('"skip"', '"xfial"'),
            "S:1: outcome: 'xfial' is unknown (did you mean xfail?): expected xfail or",
        ),
        (ENTRY.replace('"why"', '" "'), "S:1: reason: expected a text, found ' '"),
        (ENTRY.replace("reason", "issue"), "S:1: has no reason: say why"),
        (ENTRY.replace("model", "issue"), "S:1: names no test: give model = "),
        (ENTRY.replace("model", "tests") + "variant = 'x'", "S:1: has a variant, but no model"),
        (ENTRY.replace("outcome", "issue"), "S:1: gives neither an outcome nor bounds: expected outcome = "),
        (ENTRY + "bounds = {pcc = 0.9}", "S:1: gives both an outcome and bounds: expected outcome = "),
        (ENTRY + "since = 'August'", "S:1: since: expected a date such as 2026-08-21, found 'August'"),
        (ENTRY + f"since = {TOMORROW}", f"S:1: since: {TOMORROW} is in the future"),
        (ENTRY + "bounds = {pc = 0.9}", "S:1: bounds: 'pc' is not a metric (did you mean pcc?): expected some of pcc"),
        (ENTRY + "bounds = {pcc = 9}", "S:1: bounds: pcc=9 is out of range: give a number from -1 to 1"),
        (ENTRY + "bounds = {}", "S:1: bounds: expected a table such as {pcc = 0.98}, found {}"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StatusError) as caught:
        read_statuses(write(tmp_path, text), "S")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_lines_that_only_look_like_an_entry(tmp_path: Path) -> None:
    """Where the text does not show which lines an entry has, none are given rather than wrong ones."""
    text = ENTRY.replace('"why"', "'''why\n[[status]]\nmore'''")
    (entry,) = read_statuses(write(tmp_path, text), "S").entries
    assert (entry.place, entry.lines, entry.reason) == ("S: entry 1", (), "why [[status]] more")
    entries = read_statuses(write(tmp_path, 'status = [{model = "a", outcome = "skip", reason = "b"}]'), "S").entries
    assert [(entry.place, entry.lines) for entry in entries] == [("S: entry 1", ())]


@pytest.mark.parametrize(
    ("pattern", "nodeid", "named"),
    [
        ("a/test_b.py::test_c[1x2]", "a/test_b.py::test_c[1x2]", True),
        ("a/test_b.py::test_c", "a/test_b.py::test_c[1x2]", True),
        ("a/test_b.py", "a/test_b.py::test_c[1x2]", True),
        ("a", "a/test_b.py::test_c", True),
        ("a/test_b.py::test_c[1x2]", "a/test_b.py::test_c1", False),
        ("a/test_b.py::test", "a/test_b.py::test_c", False),
        ("*::test_c[*-1x8]", "a/test_b.py::test_c[gpt2-1x8]", True),
        ("*::test_c[*-1x8]", "a/test_b.py::test_c[gpt2-1x4]", False),
        ("*gpt?-*", "a/test_b.py::test_c[gpt2-1x4]", True),
        ("test_b.py", "a/test_b.py::test_c", False),
    ],
)
def test_node_ids(pattern: str, nodeid: str, named: bool) -> None:
    assert names_test(pattern, nodeid) is named


def test_what_an_entry_is_about(tmp_path: Path) -> None:
    entry, _ = read_statuses(write(tmp_path, FULL)).entries
    there = {"nodeid": "zoo/test_a.py::test_b[1x8]", "model": "gpt2", "variant": "gpt2-xl", "mesh": MeshShape(1, 8)}
    place = {"system": "t3k", "backend": "hw"}
    target = CollectedTest(**there, **place)  # type: ignore[arg-type]
    assert entry.names(target)
    assert entry.holds_for(target)
    for other in ({"backend": "sim"}, {"system": "n300"}, {"system": None}):
        elsewhere = CollectedTest(**there, **(place | other))  # type: ignore[arg-type]
        assert entry.names(elsewhere)
        assert not entry.holds_for(elsewhere)
    for other in ({"nodeid": "tests/a.py"}, {"model": None}, {"variant": "base"}, {"mesh": MeshShape(1, 4)}):
        assert not entry.names(CollectedTest(**(there | other), **place))  # type: ignore[arg-type]
    assert matches("g*2", "gpt2")
    assert not matches("g*2", "gpt2-xl")
    assert not matches("[g]pt2", "gpt2")


SUITE = """
    import pytest

    @pytest.mark.tt(mesh=["1x2", "1x8"], model="gpt2", variant="tiny")
    def test_model(tt_run):
        assert str(tt_run.mesh) == "1x2" and (tt_run.model, tt_run.variant) == ("gpt2", "tiny")

    @pytest.mark.tt
    def test_hangs(): raise SystemExit("ran")

    @pytest.mark.tt
    @pytest.mark.xfail(reason="of the test", strict=False)
    @pytest.mark.parametrize("x", [1, 2])
    def test_mended(x): assert x < 3

    @pytest.mark.tt(mesh="1x8", system="t3k")
    def test_elsewhere(): assert 0

    def test_no_chips(): assert 0
"""
STATUSES = """
[[status]]
model = "gpt*"
mesh = "1x8"
backend = "sim"
outcome = "xfail"
reason = "wrong slice"
issue = "tt-mlir#1"

[[status]]
tests = "test_s.py::test_hangs"
outcome = "xfail"
reason = "overruled below"

[[status]]
tests = "test_s.py::test_hangs"
outcome = "skip"
reason = "hangs the chip"

[[status]]
tests = "*::test_mended[*]"
outcome = "xfail"
reason = "overflow"
since = 2026-08-21
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite with failures, and the status file that knows of them."""
    pytester.makepyfile(test_s=SUITE)
    write(pytester.path, STATUSES)
    return pytester


def rows(folder: Path, name: str = "r.json") -> dict[str, Any]:
    tests = json.loads((folder / name).read_text())["tests"]
    return {row["nodeid"].removeprefix("test_s.py::"): row for row in tests}


def test_expected_failures_and_skips(suite: pytest.Pytester, run_tt: RunTT) -> None:
    result = run_tt("--tt-results=r.json", "--deselect=test_s.py::test_no_chips", "--tt-system=n300", "-rs")
    result.stdout.fnmatch_lines(["tt statuses: 4 in tt_status.toml (found in the root directory)"])
    found = {name: (row["outcome"], row["reason"]) for name, row in rows(suite.path).items()}
    unexpected = "passed, but tt_status.toml:20 expects it to fail: overflow"
    assert found == {
        "test_model[1x2]": ("passed", None),
        # Not xfailed: that there are too few chips is not what the entry says.
        "test_model[1x8]": ("skipped", "mesh 1x8 needs 8 chips, but simulated n300 has 2"),
        "test_hangs": ("skipped", "hangs the chip"),
        "test_mended[1]": ("failed", unexpected),
        "test_mended[2]": ("failed", unexpected),
        "test_elsewhere": ("skipped", found["test_elsewhere"][1]),
    }
    assert rows(suite.path)["test_model[1x8]"]["model"] == "gpt2"
    shown = [
        "That entry also matches another test of this run: narrow it if they still fail, else delete it:",
        *("  " + line for line in STATUSES.splitlines()[-5:]),
    ]
    after = result.outlines.index(unexpected) + 1
    assert result.outlines[after : after + 6] == shown
    assert shown[2] == '  tests = "*::test_mended[*]"'


def test_the_same_under_xdist_and_on_request_not_at_all(suite: pytest.Pytester, run_tt: RunTT) -> None:
    arguments = ["--deselect=test_s.py::test_no_chips", "--deselect=test_s.py::test_elsewhere"]
    result = run_tt(*arguments, "--runxfail", "-k", "not hangs")
    result.assert_outcomes(passed=3, failed=1, deselected=3)
    pytest.importorskip("xdist")
    result = run_tt(*arguments, "-n1", "--tt-results=r.json")
    result.assert_outcomes(passed=1, failed=2, skipped=1, xfailed=1)
    row = rows(suite.path)["test_model[1x8]"]
    assert (row["outcome"], row["reason"]) == ("xfailed", "wrong slice (tt-mlir#1)")


def test_a_status_that_matches_nothing(suite: pytest.Pytester, run_tt: RunTT) -> None:
    stale = '[[status]]\n{}\noutcome = "skip"\nreason = "gone"\n'
    entries = ('tests = "test_s.py::test_gone"', 'tests = ["test_s.py::test_model"]\nmesh = "8x4"', 'model = "gtp2"')
    others = ('tests = "test_other.py::test_x"', 'tests = "test_s.py::test_no_chips"')
    text = "".join(stale.format(entry) for entry in (*entries, *others))
    write(suite.path, text)
    suite.makepyfile(test_other="def test_y(): pass")
    lines = [
        "tt_status.toml:1: tests 'test_s.py::test_gone' matches no collected tt test: fix the entry, or delete it",
        "tt_status.toml:5: test_s.py::test_model on 8x4 matches no collected tt test: *",
        "tt_status.toml:10: gtp2 (did you mean gpt2[?]) matches no collected tt test: *",
        "tt_status.toml:14: tests 'test_other.py::test_x' matches no collected tt test: *",
        "tt_status.toml:18: tests 'test_s.py::test_no_chips' matches no collected tt test: *",
    ]
    result = run_tt("--tt-require", "--collect-only", "-k", "none_of_these")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{lines[0]}", *lines[1:]], consecutive=True)
    # Of what a run did not collect it says nothing: another file, one test, a chosen mesh.
    result = run_tt("--collect-only", "test_s.py")
    shown = [line for line in result.outlines if line.startswith("tt: tt_status")]
    assert [line.split(":")[2] for line in shown] == ["1", "5", "18"]
    for arguments in (["test_s.py::test_model"], ["--tt-mesh", "1x2"]):
        result = run_tt("--tt-require", "--collect-only", *arguments)
        assert (result.ret, result.errlines) == (0, []), arguments


def test_models_are_known_by_hooks(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makeconftest(
        """
        from types import SimpleNamespace

        def pytest_tt_zoo_models(): return [SimpleNamespace(name="gpt2"), SimpleNamespace(name="bert")]

        def pytest_tt_model(item): return "bert" if "bert" in item.name else None
        """
    )
    pytester.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.tt
        def test_bert(): assert 0
        def test_other(): pass
        """
    )
    path = write(pytester.path, ENTRY.replace("gpt2", "bert") + ENTRY)
    # gpt2 is a model, only not one of this file's.
    run_tt("--tt-require", "test_models_are_known_by_hooks.py").assert_outcomes(skipped=1, passed=1)
    path.write_text(ENTRY.replace("gpt2", "gtp2"))
    result = run_tt("-k", "test_bert")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: tt_status.toml:1: 'gtp2' is not a model (did you mean gpt2[?]): expected one of bert, gpt2"]
    )


def test_bounds_reach_the_golden(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import numpy as np
        import pytest
        from pytest_tt.golden import Golden, save

        X = np.linspace(1, 2, 64, dtype=np.float32)

        @pytest.fixture(autouse=True, scope="module")
        def golden(request):
            info = {"case": "case", "reference": {"implementation": "numpy linspace", "versions": {}}}
            save(request.path.parent / "golden/case.safetensors", Golden(None, {}, {"y": X}, info))

        @pytest.mark.parametrize("off", [1e-6, 1e-3])
        def test_plain(tt_golden, off): tt_golden(X * (1 + off), "case")

        @pytest.mark.parametrize("off", [1e-6, 1e-3])
        def test_loose(tt_golden, request, off): tt_golden.at(request.path.parent / "golden")(X * (1 + off), "case")

        @pytest.mark.parametrize("off", [1e-8, 1e-6])
        def test_tight(tt_golden, off): tt_golden(X * (1 + off), "case", rel_l2=1e-2, reason="of the test")
        """
    )
    write(
        pytester.path,
        '[[status]]\ntests = "*::test_loose"\nbounds = {rel_l2 = 0.01}\nreason = "known loss"\n'
        '[[status]]\ntests = "*::test_tight"\nbounds = {rel_l2 = 5e-7}\nreason = "must stay exact"\n',
    )
    result = run_tt("--tt-results=r.json")
    outcomes = {name.partition("::")[2]: row["outcome"] for name, row in rows(pytester.path).items()}
    assert outcomes == {
        "test_plain[1e-06]": "passed",
        "test_plain[0.001]": "failed",
        "test_loose[1e-06]": "passed",
        "test_loose[0.001]": "passed",
        "test_tight[1e-08]": "passed",
        "test_tight[1e-06]": "failed",
    }
    result.stdout.fnmatch_lines(["*FAIL  rel_l2 *<= 5e-07 *status (must stay exact; tt_status.toml:5)*"])


def test_where_the_file_is_named(pytester: pytest.Pytester, run_tt: RunTT, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile("def test_x(): pass")
    (pytester.mkdir("sub") / "known.toml").write_text(ENTRY)
    write(pytester.path, "not read")
    pytester.makeini("[pytest]\ntt_status_file = sub/known.toml")
    monkeypatch.chdir(pytester.path / "sub")
    # An ini file names it from where it is, wherever pytest is started.
    result = run_tt(str(pytester.path))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["tt statuses: 1 in known.toml (ini tt_status_file)"])
    monkeypatch.setenv("PYTEST_TT_STATUS_FILE", "nowhere.toml")
    result = run_tt(str(pytester.path))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: PYTEST_TT_STATUS_FILE: *nowhere.toml: cannot be read (No such file or directory)*"]
    )


def test_the_command_lists_and_says_what_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = FULL.replace("2026-08-21", str(date.today() - timedelta(days=31)))
    write(tmp_path, text)
    assert main(["status", "--older-than", "30"]) == 0
    header, first, second, summary = capsys.readouterr().out.splitlines()
    assert header.split() == ["place", "what", "tests", "since", "days", "reason"]
    assert first.startswith("tt_status.toml:3 ")
    assert " xfail " in first
    assert " 31 old " in first
    assert "gpt2 tiny/gpt2* zoo/* on 1x8, 2x4, t3k, hw" in first
    assert second.startswith("tt_status.toml:17 ")
    assert "pcc 0.97, rel_l2 0.3" in second
    assert summary == "tt_status.toml: 2 entries, 1 older than 30 days, 1 without a date"
    assert main(["status", "--json", "--older-than", "31"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(entry["old"], entry["age_days"]) for entry in document["entries"]] == [(False, 31), (None, None)]
    assert set(KEYS) <= set(document["entries"][0])
    # The file is the one that pytest reads.
    (tmp_path / "other.toml").write_text(ENTRY)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntt_status_file = "other.toml"\n')
    assert main(["status"]) == 0
    assert "other.toml: 1 entry, 0 older than 90 days, 1 without a date" in capsys.readouterr().out
    assert main(["status", "gone.toml"]) == 2
    assert capsys.readouterr().err == (
        "pytest-tt status: gone.toml: cannot be read (No such file or directory): expected a file of [[status]] "
        "tables\n"
    )
    with pytest.raises(SystemExit, match="2"):
        main(["status", "--older-than", "soon"])
    assert "'soon' is not a number of days" in capsys.readouterr().err
