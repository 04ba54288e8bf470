"""What is recorded in this directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.tt_compiler import card_program
from pytest_tt.tt_compiler.artifact import Artifact
from pytest_tt.tt_compiler.build import Build

if TYPE_CHECKING:
    from pytest_tt.tt_compiler.card_program import CardProgram

HERE = Path(__file__).parent
FILE = "/home/user/programs.py"
"""The name that programs.py had when it was recorded."""


BUILD = Build("jax-tt-plugin", "0.1.3", Path("libtt.so"), digest="", tt_mlir="614f605f00000000")


def text(name: str, stage: str = "ttnn") -> str:
    return (HERE / f"{name}.{stage}.mlir").read_text(encoding="utf-8")


def program(name: str, system: str = "n150", mesh: str = "1x1", *, ttnn: str | None = None) -> CardProgram:
    """A recorded program as `card_program.read` gives it; with another text in place of the recorded one if given."""
    first = text(name, "ttir") if (HERE / f"{name}.ttir.mlir").exists() else ""
    artifact = Artifact(first, text(name) if ttnn is None else ttnn)
    return card_program.read(artifact, system, mesh, BUILD, text(name, "stablehlo"), name=name)


def log(name: str) -> str:
    """What the compiler printed when it refused a program."""
    return str(json.loads((HERE / "refusals.json").read_text(encoding="utf-8"))[name]["log"])


def line_of(code: str) -> int:
    """The number of the one line of programs.py that holds `code`."""
    lines = (HERE / "programs.py").read_text(encoding="utf-8").splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if code in line]
    return number
