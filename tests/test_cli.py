"""The command `pytest-tt`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import pytest_tt
from pytest_tt.cli import main
from pytest_tt.targets.systems import SYSTEMS


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m pytest_tt` with `arguments`, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest_tt", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_version_of_the_module_run_as_a_program() -> None:
    done = run_module("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pytest-tt {pytest_tt.__version__}\n", "")


def test_systems_prints_one_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["name", "arch", "chips"]
    assert [line.split()[0] for line in lines] == list(SYSTEMS)
    n300 = next(line for line in lines if line.startswith("n300 "))
    assert n300.split()[:5] == ["n300", "wormhole_b0", "2", "11.96", "GiB"]
    assert " 1x2 " in n300
    starts = {line.index(SYSTEMS[line.split()[0]].title) for line in lines}
    assert starts == {header.index("title")}, "the columns are aligned"


def test_systems_as_json_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == list(SYSTEMS)
    galaxy = document["galaxy"]
    assert galaxy["chips"] == 32
    assert galaxy["dram_bytes_per_chip"] == SYSTEMS["galaxy"].dram_bytes_per_chip
    assert galaxy["meshes"] == list(SYSTEMS["galaxy"].meshes)
    assert set(galaxy) == {
        "arch", "chips", "dram_bytes_per_chip", "meshes", "runner_label", "title", "source"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["sytems"], "sytems", id="unknown command"),
        pytest.param([], "COMMAND", id="no command"),
        pytest.param(["systems", "--jsn"], "--jsn", id="unknown option"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("pytest-tt")
    assert error.count("\n") == 1
    assert said in error
    assert "--help" in error


def test_no_command_imports_jax() -> None:
    code = (
        "import sys\n"
        "from pytest_tt.cli import main\n"
        "main(['systems'])\n"
        "heavy = {'jax', 'flax', 'numpy', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
