"""Runs on hardware, followed with fakes of the wheel and for the card; and `sim` beside a wheel that kills."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from device_tree import bdf
from fake_plugins import Environment, events, make_environment

from pytest_tt.targets.detection import detect
from pytest_tt.targets.lock import ChipLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USAGE_ERROR = pytest.ExitCode.USAGE_ERROR


MIXED = """
import jax
import pytest

@pytest.mark.tt(mesh="1x2")
def test_a(tt_mesh, tt_run):
    assert tt_mesh.devices.shape == (1, 2)
    assert tt_run.backend == "hw"
    assert tt_run.system == "n300"

def test_b(tt_device):
    assert tt_device is jax.devices("tt")[0]

def test_plain():
    pass

@pytest.mark.tt(mesh=["1x2", "1x1"])
def test_c(tt_mesh):
    assert len(jax.devices("tt")) == 2
    assert jax.devices("cpu")[0] not in jax.devices("tt")
    assert jax.devices()[0].client is jax.devices("cpu")[0].client

@pytest.mark.tt(mesh="1x8")
def test_too_big(tt_mesh):
    raise AssertionError("ran")
"""


def test_auto_takes_the_card(pytester: pytest.Pytester, working: Environment, n300: Path) -> None:
    pytester.makepyfile(MIXED)
    result = working.run(pytester, "-v", "-rs", "--tt-results=results.json")
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "tt: 0.1.0, backend hw (auto: n300 (2 chips) found, pjrt-plugin-tt 0.0.0+fake), system n300 (detected), "
            "mesh 1x1 (default), jax *"
        ]
    )
    result.stdout.fnmatch_lines(["SKIPPED * mesh 1x8 needs 8 chips, but n300 has 2"])
    order = re.findall(r"::(test_\w+(?:\[\w+\])?) ", result.stdout.str())
    by_mesh = ["test_a", "test_c[1x2]", "test_b", "test_c[1x1]", "test_too_big"]
    assert [name for name in order if name != "test_plain"][: len(by_mesh)] == by_mesh
    # The plugin saw linen first, and jax opened the chips once.
    assert [event["linen_first"] for event in events(n300, "initialize")] == [True]
    assert events(n300, "open") == [{"chips": 2}]
    document = json.loads((pytester.path / "results.json").read_text())
    assert document["run"]["backend"] == "hw"
    assert document["run"]["system"] == "n300"
    assert document["run"]["chips"] == 2
    assert document["run"]["versions"]["pjrt_plugin_tt"] == "0.0.0+fake"
    outcomes = {row["nodeid"].partition("::")[2]: row["outcome"] for row in document["tests"]}
    assert outcomes["test_too_big"] == "skipped"
    assert outcomes["test_c[1x2]"] == "passed"
    # The chips were held until the process ended, and are free now.
    with ChipLock(detect(n300), timeout_s=0, say=print, root=n300):
        pass


def test_of_two_plugins_jax_gets_the_first(
    pytester: pytest.Pytester, working: Environment, n300: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other one would end the process when it is imported; and the run says which one it takes."""
    site = tmp_path / "second"
    info = site / "jax_tt_plugin-0.1.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: jax-tt-plugin\nVersion: 0.1.3\n")
    (info / "entry_points.txt").write_text("[jax_plugins]\nlibtt = second_plugin\n")
    (site / "second_plugin.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))
    pytester.makepyfile(MIXED)
    result = working.run(pytester, "-k", "test_a", "--tt-results=results.json")
    result.assert_outcomes(passed=1, deselected=5)
    result.stdout.fnmatch_lines(["tt: *(2 chips) found, pjrt-plugin-tt 0.0.0+fake, not jax-tt-plugin 0.1.3)*"])
    versions = json.loads((pytester.path / "results.json").read_text())["run"]["versions"]
    assert versions["pjrt_plugin_tt"] == "0.0.0+fake"
    assert "jax_tt_plugin" not in versions


PROGRAM = """
import jax.numpy as jnp
import numpy as np
import pytest

@pytest.mark.tt(mesh="1x2")
def test_program(tt_jit):
    tt_jit(jnp.dot)(np.ones((4, 4), np.float32), np.ones((4, 4), np.float32))
    (program,) = tt_jit.programs
    found = program.collectives, program.bytes_per_chip, program.card is None
    assert found == {expected}
"""


def test_programs_are_read_from_what_the_plugin_serializes(
    pytester: pytest.Pytester, working: Environment, n300: Path
) -> None:
    """Not from its HLO text, which is a stub on several chips: the fake's is the CPU's, without a collective."""
    # A tile of 4096 bytes reserves one page in each of the 12 banks; at most three tensors are there at a time.
    peak = 3 * 12 * 4096
    pytester.makepyfile(PROGRAM.replace("{expected}", f'({{"all-reduce": 1}}, {peak}, False)'))
    working.run(pytester, "--tt-results=results.json").assert_outcomes(passed=1)
    (row,) = json.loads((pytester.path / "results.json").read_text())["tests"]
    assert (row["collectives"], row["bytes_per_chip"]) == ({"all-reduce": 1}, peak)
    assert row["card"]["system"] == "n300"
    assert row["card"]["compiler"]["package"] == "pjrt-plugin-tt"
    (program,) = row["card"]["programs"]
    assert (program["name"], program["ok"], program["ops"]) == ("dot", True, {"all_reduce": 1, "matmul": 1})


def test_programs_that_cannot_be_read_say_so_once(
    pytester: pytest.Pytester, working: Environment, n300: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TTNN", "garbage")
    text = PROGRAM.replace("{expected}", "(None, None, True)")
    pytester.makepyfile(text, test_other=text)
    result = working.run(pytester, "-W", "default", "--tt-results=results.json")
    result.assert_outcomes(passed=2, warnings=2)
    said = "TTExecutableWarning: programs have no collectives and no memory: pjrt-plugin-tt 0.0.0+fake: ValueError: no "
    assert result.stdout.str().count(said) == 1
    for row in json.loads((pytester.path / "results.json").read_text())["tests"]:
        assert (row["collectives"], row["bytes_per_chip"], row["card"]) == (None, None, None)


def test_missing_chips_fail_on_request(pytester: pytest.Pytester, working: Environment, n300: Path) -> None:
    pytester.makepyfile(MIXED)
    result = working.run(pytester, "--tt-require", "-k", "too_big")
    result.assert_outcomes(failed=1, deselected=5)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*mesh 1x8 needs 8 chips, but n300 has 2 (--tt-require)*"])
    assert events(n300, "open") == []


REFUSED = {
    "another system": (
        ["--tt-system", "t3k"],
        "*system t3k (8 chips) expected, but this machine has n300 (2 chips)*",
    ),
    "two processes": (["-n", "2"], "*-n 2: one process at a time can open the chips of n300 (2 chips)*"),
    "unknown option": (
        ["--tt-compiler-option", "optimisation_level=1"],
        "*'optimisation_level' is not a TT compiler option*did you mean optimization_level?*",
    ),
    "gone option": (
        ["--tt-compiler-option", "enable_optimizer=true"],
        "*does not exist any more*optimization_level=1*",
    ),
    "bad boolean": (
        ["--tt-compiler-option", "enable_trace=maybe"],
        "*compiler option enable_trace: 'maybe' is not accepted: expected true or false*",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_any_test(case: str, pytester: pytest.Pytester, working: Environment, n300: Path) -> None:
    arguments, message = REFUSED[case]
    if "-n" in arguments:
        pytest.importorskip("xdist")
    pytester.makepyfile(MIXED)
    result = working.run(pytester, *arguments)
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "Traceback" not in result.stderr.str()
    assert "test_a" not in result.stdout.str()
    assert events(n300, "initialize") == []


def test_hw_without_a_card(pytester: pytest.Pytester, working: Environment) -> None:
    pytester.makepyfile(MIXED)
    result = working.run(pytester, "--tt-backend", "hw")
    assert result.ret == USAGE_ERROR
    assert len([line for line in result.stderr.lines if line]) == 1
    result.stderr.fnmatch_lines(["ERROR: backend hw: no card found: expected device nodes below /dev/tenstorrent*"])


def test_hw_without_the_wheel(pytester: pytest.Pytester, tmp_path: Path, n300: Path) -> None:
    bare = make_environment(tmp_path / "bare", None)
    pytester.makepyfile(MIXED)
    result = bare.run(pytester, "--tt-backend", "hw")
    assert result.ret == USAGE_ERROR
    assert len([line for line in result.stderr.lines if line]) == 1
    result.stderr.fnmatch_lines(["ERROR: backend hw: n300 (2 chips) found but no plugin for jax registers tt: pip*"])


def test_visible_devices(
    pytester: pytest.Pytester,
    working: Environment,
    machine: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = machine("t3k", 4)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.tt(mesh="1x4")
        def test_four(tt_mesh, tt_run):
            assert tt_run.system is None

        @pytest.mark.tt(mesh="1x8")
        def test_eight(tt_mesh):
            pass
        """
    )
    monkeypatch.setenv("TT_VISIBLE_DEVICES", "3,1")
    result = working.run(pytester, "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "tt: *backend hw (auto: 2 x n300 (4 chips), 2 of 4 devices by TT_VISIBLE_DEVICES=3,1 found, *)*",
            "SKIPPED * mesh 1x8 needs 8 chips, but 2 x n300 (4 chips)* has 4",
        ]
    )
    # Every index but 0 would be refused further down, so the plugin gets addresses.
    assert [event["visible"] for event in events(root, "initialize")] == [f"{bdf(1)},{bdf(3)}"]

    monkeypatch.setenv("TT_VISIBLE_DEVICES", "7")
    result = working.run(pytester)
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: TT_VISIBLE_DEVICES=7: '7' names no device: expected an index 0 to 3*"])

    monkeypatch.setenv("TT_VISIBLE_DEVICES", "")
    result = working.run(pytester, "--collect-only")
    result.stdout.fnmatch_lines(["tt: *backend sim (auto: no card, 0 of 4 devices by TT_VISIBLE_DEVICES= found)*"])


def test_options_and_artifacts_reach_the_compiler(pytester: pytest.Pytester, working: Environment, n300: Path) -> None:
    pytester.makepyfile(
        """
        import jax.numpy as jnp
        import numpy as np
        import pytest

        @pytest.mark.tt(mesh="1x2", options={"enable_trace": True})
        def test_options(tt_jit, tt_run):
            assert tt_run.options == {"optimization_level": "2", "enable_trace": "true"}
            x = np.ones((4, 4), np.float32)
            assert tt_jit(jnp.dot)(x, x)[0, 0] == 4
        """
    )
    result = working.run(pytester, "--tt-compiler-option", "optimization_level=2", "--tt-artifacts", "out")
    result.assert_outcomes(passed=1)
    version = tuple(map(int, importlib.metadata.version("jax").split(".")[:2]))
    level = "O2" if version > (0, 10) else "2"  # newer ones refuse the number
    options = {"optimization_level": level, "enable_trace": "true"}
    assert events(n300, "compile").count({"options": options}) == 1, "each program is compiled once"
    (written,) = events(n300, "serialize")
    assert written["options"] == options
    files = sorted(path for path in (pytester.path / "out").rglob("*") if path.is_file())
    endings = {re.sub(r"^.*?dot", "", path.name) for path in files}
    assert endings == {".stablehlo.mlir", "_ttir.mlir", "_ttnn.mlir", ".ttnn"}
    assert all(path.stat().st_size > 0 for path in files)
    stablehlo = next(path for path in files if path.name.endswith("stablehlo.mlir"))
    assert "stablehlo.dot_general" in stablehlo.read_text()


def test_runs_queue_and_a_killed_one_does_not_block(
    pytester: pytest.Pytester, working: Environment, n300: Path
) -> None:
    pytester.makepyfile(
        test_long="""
        import pathlib
        import time
        import pytest

        @pytest.mark.tt
        def test_long():
            pathlib.Path("running").touch()
            time.sleep(600)
        """,
        test_next="""
        import pytest

        @pytest.mark.tt(mesh="1x2")
        def test_next(tt_mesh):
            pass
        """,
    )
    first = subprocess.Popen(working.command("test_long.py"), cwd=pytester.path, stdout=subprocess.DEVNULL)
    try:
        while not (pytester.path / "running").exists():
            assert first.poll() is None
            time.sleep(0.05)
        # One that does not wait is told who has the chips.
        result = working.run(pytester, "test_next.py", "--tt-lock-timeout", "0")
        assert result.ret == USAGE_ERROR
        held = f"n300 (2 chips): /dev/tenstorrent/0 is held by pid {first.pid} (user *, *test_long.py, since *)"
        result.stderr.fnmatch_lines([f"ERROR: {held}; gave up after 0 s: *--tt-lock-timeout*"])
        assert "Traceback" not in result.stderr.str() + result.stdout.str()
        # One that waits says so, and goes on when the holder dies without a chance to clean up.
        second = subprocess.Popen(working.command("test_next.py"), cwd=pytester.path, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        watchdog = threading.Timer(120, second.kill)
        watchdog.start()  # a message that never comes fails, rather than hang
        seen = []
        for line in second.stdout:
            seen.append(line)
            if line.startswith("tt: waiting for"):
                first.send_signal(signal.SIGKILL)
                break
        rest, _ = second.communicate(timeout=120)
        watchdog.cancel()
    finally:
        first.kill()
        first.wait()
    assert second.returncode == 0, "".join(seen) + rest
    waiting = pytest.LineMatcher(seen)
    waiting.fnmatch_lines([f"tt: waiting for {held}; waited 0 s, giving up in 600 s*"])
    pytest.LineMatcher(rest.splitlines()).fnmatch_lines(["tt: got n300 (2 chips) after * s", "*1 passed*"])


@pytest.mark.parametrize("early", [False, True], ids=["in a test", "in a conftest"])
def test_chips_are_never_opened_without_the_queue(
    early: bool, pytester: pytest.Pytester, working: Environment, n300: Path
) -> None:
    """A test or a conftest that starts jax without a marker or a fixture of ours waits in the queue as well."""
    pytester.makeconftest("import jax\njax.devices('tt')" if early else "")
    pytester.makepyfile("import jax\ndef test_plain(): assert len(jax.devices('tt')) == 2")
    with ChipLock(detect(n300), timeout_s=0, say=print, root=n300):
        result = working.run(pytester, "--tt-lock-timeout", "0")
        assert result.ret != 0
        assert "/dev/tenstorrent/0 is held by pid" in result.stdout.str() + result.stderr.str()
        assert events(n300, "open") == []
    working.run(pytester).assert_outcomes(passed=1)
    assert events(n300, "open") == [{"chips": 2}]


def test_killing_fake_plugin_kills(killing: Environment, tmp_path: Path) -> None:
    env = os.environ | {"JAX_PLATFORMS": ""}
    result = subprocess.run([killing.python, "-c", "import jax; jax.devices()"], env=env, capture_output=True)
    assert result.returncode == -signal.SIGABRT


@pytest.mark.parametrize("how", ["no card", "card, --tt-backend sim"])
def test_sim_never_starts_a_plugin_that_kills(
    how: str, pytester: pytest.Pytester, killing: Environment, request: pytest.FixtureRequest
) -> None:
    arguments = []
    if how != "no card":
        request.getfixturevalue("n300")
        arguments = ["--tt-backend", "sim"]
    pytester.makeconftest("import jax\n\nassert jax.devices()")
    pytester.makepyfile(
        """
        import jax
        import jax.numpy as jnp
        import numpy as np
        import pytest

        def test_devices_of_every_kind():
            assert len(jax.devices("tt")) >= 2
            assert jax.devices()[0].platform == "cpu"
            assert jax.jit(lambda x: x + 1)(1) == 2

        @pytest.mark.tt(mesh=["1x2", "8x4"])
        def test_mesh(tt_mesh, tt_jit, tt_run):
            assert tt_run.backend == "sim"
            assert tt_jit(jnp.sum)(np.ones(32, np.float32)) == 32
        """
    )
    result = killing.run(pytester, *arguments)
    result.assert_outcomes(passed=3)
    if how == "no card":
        if importlib.util.find_spec("xdist"):
            killing.run(pytester, "-n", "2").assert_outcomes(passed=3)
    else:
        result = killing.run(pytester, *arguments, "--tt-system", "n300")
        result.assert_outcomes(passed=2, skipped=1)
