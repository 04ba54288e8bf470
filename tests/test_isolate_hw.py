"""Isolation on hw, with fakes of the wheel, the card and tt-smi."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from device_tree import bdf, set_holders
from fake_plugins import Environment, events

from pytest_tt.targets.detection import detect
from pytest_tt.targets.lent import LentChips
from pytest_tt.targets.lock import ChipLock

if TYPE_CHECKING:
    from pathlib import Path

SUITE = """
    import os
    import time
    from pathlib import Path
    import jax
    import pytest

    pytestmark = pytest.mark.tt(mesh="1x2")

    def test_environment(tt_mesh):
        assert os.environ["TT_VISIBLE_DEVICES"] == "0000:01:00.0"
        cache, temporary = (Path(os.environ[name]) for name in ("TT_METAL_CACHE", "TMPDIR"))
        assert cache.is_dir() and temporary.is_dir()
        Path("seen").write_text(f"{temporary}\\n{cache}")

    def test_dies(tt_mesh):
        if "FAKE_HUNG" in os.environ:
            Path(os.environ["FAKE_HUNG"]).write_text(os.environ["HOW"])
        os.abort()

    @pytest.mark.skip(reason="never")
    def test_skipped(tt_mesh): pass

    def test_next(tt_mesh):
        assert tt_mesh.devices.shape == (1, 2)

    def test_last(tt_mesh): pass
"""


@pytest.fixture
def hung(n300: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says that the chips are hung, once a test has made it."""
    monkeypatch.setenv("FAKE_HUNG", str(n300 / "hung"))
    monkeypatch.setenv("HOW", "")
    return n300 / "hung"


@pytest.fixture
def tt_smi(n300: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name on PATH that fixes the chips, and what it was called with."""
    program = tmp_path / "bin/tt-smi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {n300}/resets\nrm -f {n300}/hung\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return n300 / "resets"


def test_next_test_has_the_chips_again(pytester: pytest.Pytester, working: Environment, n300: Path) -> None:
    pytester.makepyfile(SUITE)
    result = working.run(pytester, "--tt-results", "r.json")
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "tt: *, backend hw (*, isolate (default on hw; timeout 1800 s, default on hw)",
            "crashed with SIGABRT (Aborted) in phase execute",
            "tt: 1 test crashed the test process",
        ]
    )
    # One process after the other opened the chips, and none was this one's.
    assert events(n300, "open") == [{"chips": 2}] * 2
    temporary, cache = (pytester.path / line for line in (pytester.path / "seen").read_text().splitlines())
    assert not temporary.exists()
    # Without pytest's cache directory the kernels' cache lives as long as the process.
    assert temporary in cache.parents
    with ChipLock(detect(n300), timeout_s=0, say=print, root=n300):
        pass


@pytest.mark.parametrize("reruns", [(), ("--reruns", "1")], ids=["once", "reruns"])
def test_hung_chips_are_said_once(
    reruns: tuple[str, ...], pytester: pytest.Pytester, working: Environment, n300: Path, hung: Path, tt_smi: Path
) -> None:
    """Also by a test that a plugin would run again: there is nothing to run it on."""
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--reruns', type=int)")
    pytester.makepyfile(SUITE)
    result = working.run(pytester, *reruns)
    result.assert_outcomes(passed=1, failed=1, skipped=1, errors=2)
    found = (
        "n300 (2 chips) did not come back after *::test_dies (crashed with SIGABRT (Aborted) in phase execute): "
        "*chip 0 does not answer*; reset it with `tt-smi -r 0`, or let the run do so with --tt-reset"
    )
    result.stdout.fnmatch_lines([f"tt: {found}", "* ERROR at setup of test_next *", found, "* test_last *", found])
    result.stdout.fnmatch_lines(["crashed with SIGABRT (Aborted) in phase execute", "Where it was:"])
    again = [line for line in result.outlines if line.startswith("Not run again: n300 (2 chips) did not come back")]
    assert len(again) == (1 if reruns else 0)
    assert len([line for line in result.outlines if line.startswith("tt: n300 (2 chips)")]) == 1
    assert len(events(n300, "hung")) == 1
    assert not tt_smi.exists()


@pytest.mark.skipif(not os.environ.get("ZOO_SLOW"), reason="takes long: set ZOO_SLOW=1, as nox's session slow does")
def test_reset_where_it_is_allowed(
    pytester: pytest.Pytester,
    working: Environment,
    n300: Path,
    hung: Path,
    tt_smi: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here the chips do not fail to open, they hang whoever opens them."""
    monkeypatch.setenv("HOW", "for ever")
    pytester.makepyfile(SUITE)
    result = working.run(pytester, "--tt-reset", "--tt-timeout", "3")
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "tt: *isolate (default on hw; timeout 3 s, --tt-timeout; reset, --tt-reset)",
            "tt: n300 (2 chips) did not come back after *test_dies *: opening them took more than 3 s; resetting: "
            "tt-smi -r 0",
            "tt: n300 (2 chips) is back",
        ]
    )
    assert tt_smi.read_text() == "-r 0\n"
    assert not hung.exists()


def test_reset_leaves_others_alone(n300: Path, tt_smi: Path) -> None:
    box = detect(n300)
    set_holders(n300, 0, [1])
    problem = LentChips(box, (), may_reset=True, cache=None).reset()
    assert problem is not None
    assert problem.startswith("not run: pid 1 (")
    assert not tt_smi.exists()
    set_holders(n300, 0, [])
    assert LentChips(box, (), may_reset=True, cache=None).reset() is None
    assert tt_smi.read_text() == "-r 0\n"


def test_a_reset_that_fails_says_why(n300: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = LentChips(detect(n300), (), may_reset=True, cache=None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chips.reset() == "tt-smi is not installed (not on PATH)"
    (tmp_path / "tt-smi").write_text("#!/bin/sh\necho first\necho no such board >&2\nexit 3\n")
    (tmp_path / "tt-smi").chmod(0o700)
    assert chips.reset() == "exit status 3 (no such board)"


def test_every_child_has_directories_of_its_own(n300: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    chips = LentChips(detect(n300), (), may_reset=False, cache=tmp_path / "kept")
    (first, made), (second, others) = chips.environment(), chips.environment()
    assert first["TMPDIR"] != second["TMPDIR"]
    assert (first["TMPDIR"], second["TMPDIR"]) == (*made, *others)
    assert first["TT_METAL_CACHE"] == second["TT_METAL_CACHE"] == str(tmp_path / "kept/0000.01.00.0")
    assert first["TT_VISIBLE_DEVICES"] == bdf(0)
    monkeypatch.setenv("TT_METAL_CACHE", str(tmp_path / "mine"))
    assert chips.environment()[0]["TT_METAL_CACHE"] == str(tmp_path / "mine/0000.01.00.0")


@pytest.mark.parametrize("asked", [False, True])
def test_started_in_a_conftest(asked: bool, pytester: pytest.Pytester, working: Environment, n300: Path) -> None:
    """Then this process has the chips, and no other one can open them."""
    pytester.makeconftest("import jax\njax.devices('tt')")
    pytester.makepyfile("def test_chips(tt_mesh): pass")
    result = working.run(pytester, *(("--tt-isolate",) if asked else ()))
    why = "code that ran while tests were collected started jax, so this process has the chips"
    if asked:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: tests cannot be isolated: {why}; move that code into a fixture"])
    else:
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines([f"tt: isolate off: {why}"])
    assert events(n300, "open") == [{"chips": 2}]
