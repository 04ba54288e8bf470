"""The example of a zoo in a package of its own, as an installer would leave it, without installing it.

The nox session `elsewhere` installs it and runs the whole zoo's tests, and its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "external_zoo"

pytestmark = pytest.mark.skipif(
    not os.environ.get("ZOO_SLOW"), reason="takes long: set ZOO_SLOW=1, as nox's session slow does"
)


class Installed:
    """The example in a directory that is on the path, with the metadata of its pyproject.toml."""

    def __init__(self, room: Path) -> None:
        self.here, site = room / "here", room / "site"
        self.here.mkdir()
        self.package = site / "external_zoo"
        shutil.copytree(EXAMPLE / "external_zoo", self.package, ignore=shutil.ignore_patterns("__pycache__"))
        project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
        about = site / f"external_zoo-{project['version']}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        points = project["entry-points"]["pytest_tt_zoo"].items()
        (about / "entry_points.txt").write_text(
            "\n".join(["[pytest_tt_zoo]", *(f"{name} = {value}" for name, value in points)])
        )
        self._path = os.pathsep.join([str(site), str(ROOT)])

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """``python -m`` what is in `command`, away from the checkout."""
        return subprocess.run(
            [sys.executable, "-m", *command],
            capture_output=True,
            text=True,
            cwd=self.here,
            env={**os.environ, "PYTHONPATH": self._path, "ZOO_SLOW": ""},
        )

    def contract(self, chosen: str) -> subprocess.CompletedProcess[str]:
        """Those tests of the contract that are `chosen`."""
        options = ["-p", "pytest_tt", "-p", "no:cacheprovider", "--tt-mesh", "1x2", "-v", "-k", chosen]
        return self.run("pytest", *options, "--pyargs", "zoo.test_contract")


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def test_passes_and_without_its_golden_fails(installed: Installed) -> None:
    done = installed.contract("external and not _16 and not _32")  # all, but for its large variants
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_golden[external_mixer-tiny-1x2] PASSED" in done.stdout

    golden = installed.package / "golden" / "tiny.safetensors"
    golden.unlink()
    done = installed.contract("test_golden and external")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert f"{golden}: missing; record it with: python -m zoo golden external_mixer" in done.stdout
    assert "test_golden[external_mixer-tiny-1x2] FAILED" in done.stdout


def test_its_golden_is_what_its_reference_gives_and_catches_its_mutants(installed: Installed) -> None:
    done = installed.run("zoo", "golden", "external_mixer", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("external_mixer/tiny: good")
    done = installed.run("zoo", "mutants", "external_mixer")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    at = lines.index("external_mixer, golden case tiny")  # behind what the columns are
    _, right, *mutants, total = lines[at + 1 :]
    assert right.split().count("agrees") == 2
    assert len(mutants) == 11
    assert total == "11 mutants of 1 model, 0 wrong"
    assert all("caught" in mutant.split() for mutant in mutants)
