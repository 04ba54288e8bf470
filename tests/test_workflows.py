"""The workflows: they are what GitHub accepts, they run what .ci/run runs, and the hardware one works, on fakes."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from device_tree import make_healthy

from pytest_tt.cli import COMMANDS
from pytest_tt.options import OPTIONS

if TYPE_CHECKING:
    from fake_plugins import Environment

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github/workflows"
HARDWARE: dict[str, Any] = yaml.safe_load((FOLDER / "hardware.yml").read_text(encoding="utf-8"))


def steps() -> list[dict[str, Any]]:
    return [step for job in HARDWARE["jobs"].values() for step in job["steps"]]


def script(name: str) -> str:
    """What the step called `name` runs; of several with that name the first."""
    text: str = next(step["run"] for step in steps() if step.get("name") == name)
    return text


def test_actionlint_has_nothing_to_say() -> None:
    program = shutil.which("actionlint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("actionlint is not installed; the session `lint` has it")
    done = subprocess.run([program, *map(str, FOLDER.glob("*.yml"))], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_ci_runs_the_sessions_of_the_script() -> None:
    ci = yaml.safe_load((FOLDER / "ci.yml").read_text(encoding="utf-8"))
    include = ci["jobs"]["check"]["strategy"]["matrix"]["include"]
    block = re.search(r"^sessions=\((.*?)^\)", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert block is not None
    assert [f"{entry['session']} {entry['python']}" for entry in include] == shlex.split(block[1])


def test_actions_are_pinned_by_major_version() -> None:
    used = [
        step["uses"]
        for path in FOLDER.glob("*.yml")
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
        if "uses" in step
    ]
    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", action)] == []


def test_every_command_has_the_options_that_it_is_given() -> None:
    """Each `pytest-tt` line is parsed as the command would; each --tt- option is one of pytest's."""
    text = "\n".join(step.get("run", "") for step in steps()).replace("\\\n", " ")
    commands = {command.name: command for command in COMMANDS}
    found = []
    for name, rest in re.findall(r"pytest-tt (\w+)([^\n)]*)", text):
        parser = argparse.ArgumentParser(exit_on_error=False)
        commands[name].arguments(parser)
        words = shlex.split(rest.replace("$SHARDS", "2").replace('"${durations[@]}"', "--durations x"))
        parser.parse_args(words)
        found.append(name)
    assert found == ["matrix", "doctor", "merge", "report", "gate"]
    flags = {option.flag for option in OPTIONS}
    assert set(re.findall(r"--tt-[a-z-]+", text)) <= flags


SUITE = """
    import os
    import numpy as np
    import pytest
    from jax.sharding import PartitionSpec as P

    X = np.ones((8, 8), np.float32)

    @pytest.mark.tt(mesh="1x2")
    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_product(tt_jit, tt_run, n):
        assert tt_run.backend == "hw"
        if n == 1 and "REGRESSED" in os.environ:
            pytest.skip("no time for it")
        f = tt_jit(lambda x, w: x @ w, in_shardings=(P(), P(None, "model")), out_shardings=P(None, "model"))
        assert (f(X, X) == 8).all()
"""


@pytest.mark.skipif(not os.environ.get("ZOO_SLOW"), reason="takes long: set ZOO_SLOW=1, as nox's session slow does")
def test_a_hardware_run_from_start_to_end(
    pytester: pytest.Pytester, working: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripts of the steps: doctor, matrix, two shards, merge, report, a gate that closes and opens again."""
    pytester.makepyfile(test_m=SUITE)
    pytester.makepyprojecttoml('[tool.pytest-tt.matrix]\nargs = ["--no-tt-isolate"]')  # quicker
    root = make_healthy(pytester.path / "machine", "n300")
    programs = pytester.mkdir("programs")
    for name, command in {"pytest-tt": "-m pytest_tt", "pytest": "-m pytest -p pytest_tt -p no:cacheprovider"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(str(working.python))} {command} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    monkeypatch.setenv("PYTEST_TT_DEVICE_ROOT", str(root))
    monkeypatch.setenv("FAKE_CHIPS", "2")
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(pytester.path / name))
        (pytester.path / name).touch()

    def run(name: str, **environ: str) -> subprocess.CompletedProcess[str]:
        values = {key.removeprefix("matrix_"): value for key, value in environ.items() if key.startswith("matrix_")}
        text = script(name)
        for key, value in values.items():
            text = text.replace("${{ matrix." + key + " }}", value)
        assert "${{" not in text
        rest = {key: value for key, value in environ.items() if not key.startswith("matrix_")}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]  # as GitHub runs `shell: bash`
        return subprocess.run(command, env=os.environ | rest, capture_output=True, text=True, timeout=300)

    assert run("Doctor").returncode == 0
    made = run("Make the matrix", PATHS="test_m.py", SHARDS="2")
    assert made.returncode == 0, made.stderr
    output = (pytester.path / "GITHUB_OUTPUT").read_text()
    include = json.loads(output.removeprefix("matrix="))["include"]
    jobs = [(entry["runs-on"], entry["backend"], entry["tests"]) for entry in include]
    assert jobs == [("n300", "hw", 2), ("n300", "hw", 1)]

    def test(entry: dict[str, Any], **environ: str) -> None:
        done = run("Test", matrix_args=entry["args"], ID=entry["id"], **environ)
        assert done.returncode == 0, done.stdout

    for entry in include:
        test(entry)
    assert run("Merge").returncode == 0
    rows = json.loads((pytester.path / "results.json").read_text())["tests"]
    assert sorted(row["nodeid"] for row in rows) == [f"test_m.py::test_product[{n}]" for n in range(3)]
    assert {(row["outcome"], row["backend"], row["system"]) for row in rows} == {("passed", "hw", "n300")}
    assert run("Report").returncode == 0
    assert (pytester.path / "report.html").exists()
    gate = run("Gate")
    assert (gate.returncode, gate.stdout) == (0, "::notice::no baseline: nothing was compared\n")

    baseline = pytester.path / "tt-plan/baseline"
    baseline.mkdir()
    shutil.copy("results.json", baseline)
    assert run("Gate").returncode == 0
    (regressed,) = [entry for entry in include if "test_product[1]" in Path(entry["args"][1:].split()[0]).read_text()]
    test(regressed, REGRESSED="1")
    assert run("Merge").returncode == 0
    gate = run("Gate")
    assert gate.returncode == 1
    assert re.search(r"test_product\[1\].*skipped.*no time for it", gate.stdout), gate.stdout
    assert "no time for it" in (pytester.path / "GITHUB_STEP_SUMMARY").read_text()

    test(regressed)
    assert run("Merge").returncode == 0
    gate = run("Gate")
    assert gate.returncode == 0, gate.stdout
