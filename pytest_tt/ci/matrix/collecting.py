"""The tests of a suite, with the mesh and the systems that each asks for; nothing is run and no chip is opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.ci.matrix.collector import OUTPUT
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.targets.simulated import SimulatedTarget

if TYPE_CHECKING:
    from collections.abc import Sequence


# Simulated chips, whatever cards are here: no chip is looked for. A status that matches no test is an error.
_OPTIONS = (
    "-p", "pytest_tt", "-p", "pytest_tt.ci.matrix.collector",
    "--collect-only", "-q", "--tt-backend", SimulatedTarget.name, "--tt-require",
)  # fmt: skip


class MatrixError(ValueError):
    """No matrix can be made of this input; the text is one line."""


@dataclass(frozen=True, slots=True)
class CollectedTest:
    """One test. argument: its name on pytest's command line, from the directory that we are in."""

    nodeid: str
    argument: str
    mesh: MeshShape | None
    """None for a test that needs no chips."""
    systems: tuple[str, ...]
    """The boxes that its marker names, none for any."""


def collect(arguments: Sequence[str]) -> list[CollectedTest]:
    """What pytest collects with `arguments`, in its order. Raises MatrixError where it cannot, or finds no test."""
    with tempfile.TemporaryDirectory(prefix="pytest-tt-") as folder:
        path = Path(folder, "tests.json")
        command = [sys.executable, "-m", "pytest", *_OPTIONS, *arguments]
        environment = os.environ | {OUTPUT: str(path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not path.exists():
            raise MatrixError(_failure(done, arguments))
        facts = json.loads(path.read_text(encoding="utf-8"))
    return [
        CollectedTest(
            entry["nodeid"],
            entry["argument"],
            None if entry["mesh"] is None else MeshShape.parse(entry["mesh"]),
            tuple(entry["systems"]),
        )
        for entry in facts
    ]


def _failure(done: subprocess.CompletedProcess[str], arguments: Sequence[str]) -> str:
    what = f"pytest {' '.join(arguments)}".strip()
    if done.returncode == 5:
        return f"{what}: no tests collected: expected a file or folder with tests"
    lines = [line for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "E  "))] or lines[-1:] or ["it said nothing"]
    return f"{what}: cannot be collected (exit code {done.returncode}): {' '.join(errors[0].split())}"
