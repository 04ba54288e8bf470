"""`pytest-tt compile`: arguments, output and exit codes, with a fake compiler that judges by the function's name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_tt.cli.shape import ArgumentShape

if TYPE_CHECKING:
    from collections.abc import Callable

    Compile = Callable[..., subprocess.CompletedProcess[str]]

MODEL = """
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from helper import ONE


def add(x, w, scale=ONE):
    return x + w * scale


def fft(x):
    return x


def wide(x):
    return x


def example():
    return jax.jit(wide), np.ones((8, 4), np.float32)


def sharded(mesh):
    assert mesh.shape == {"batch": 1, "model": 8}
    x = jax.ShapeDtypeStruct((8, 1 << 20, 1 << 12), np.float32, sharding=NamedSharding(mesh, P("model")))
    return wide, x


def nothing():
    return "wide"
"""

RUN = "import sys, fake_card; from pytest_tt.cli import main; sys.exit(main(['compile', *sys.argv[1:]]))"
RUN_EACH = """
import sys, fake_card
from pytest_tt.cli import main

for words in sys.argv[2:]:
    try:
        print(main(["compile", *words.split()]))
    except SystemExit as error:
        print(error.code)
"""


@pytest.fixture
def compile_tt(tmp_path: Path) -> Compile:
    """Runs the command with the fake compiler, in a folder with model.py."""
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "helper.py").write_text("ONE = 1\n", encoding="utf-8")
    here = Path(__file__).parent

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        code = RUN_EACH if words[0] == "--each" else RUN
        environment = {
            **os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}", "FAKE_CARD_LOG": str(tmp_path / "asked")
        }  # fmt: skip
        command = [sys.executable, "-W", "error", "-c", code, *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f32[8,128]:batch,None", ArgumentShape("float32", (8, 128), (("batch",), ()))),
        ("bf16[8, 16]:batch+model", ArgumentShape("bfloat16", (8, 16), (("batch", "model"),))),
        ("s8[2,3,4]:-,,model", ArgumentShape("int8", (2, 3, 4), ((), (), ("model",)))),
        ("pred[]", ArgumentShape("bool", (), ())),
        ("float16[7]", ArgumentShape("float16", (7,), ())),
    ],
)
def test_shapes(text: str, expected: ArgumentShape) -> None:
    assert ArgumentShape.parse(text) == expected


@pytest.mark.parametrize("text", ["8,128", "f32", "f32[8", "f32[8]:a b", "f32[-1]", "f32[8]:batch,model"])
def test_what_is_not_a_shape(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a shape: expected DTYPE|names 2 mesh axes for 1 dimensions"):
        ArgumentShape.parse(text)


def test_good_and_bad(compile_tt: Compile, tmp_path: Path) -> None:
    done = compile_tt("model.py:add", "f32[8,128]:batch,model", "f32[128]:model", "--system", "n300,t3k",
                      "--mesh", "1x2", "--option", "math_fidelity=hifi4", "--write", "kept")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == [
        "add, compiled by fake-tt 1.0",
        "system mesh compiles fits ops on the host collectives peak DRAM at best",
        "n300 1x2 yes yes 3 0 1 all-reduce 1.0 GiB of 12.0 GiB 0.001 ms",
        "t3k 1x2 yes yes 3 0 1 all-reduce 1.0 GiB of 12.0 GiB 0.001 ms",
        "ops for n300, t3k: 3 add",
    ]
    assert (tmp_path / "asked").read_text().splitlines()[0] == "add n300 [('math_fidelity', 'hifi4')] 300"
    assert (tmp_path / "kept/n300.ttnn.mlir").read_text() == "ttnn of add"
    done = compile_tt("model.py:fft", "f32[8]")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-2:] == [
        "TT's compiler for n150: fft: stablehlo.fft at /m/model.py:7: failed to legalize operation 'stablehlo.fft'",
        "  instead: split",
    ]


def test_functions_that_bring_their_arguments(compile_tt: Compile) -> None:
    """A jitted function, and shapes far larger than this machine on the mesh that is asked for."""
    done = compile_tt("model.py:example", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    (program,) = found["programs"]
    assert (found["mesh"], program["system"], program["fits"]) == ("1x1", "n150", False)
    assert "needs 17.0 GiB of DRAM on each chip, n150 has 12.0 GiB" in program["error"]
    done = compile_tt("model.py:sharded", "--system", "t3k")
    assert (done.returncode, done.stderr) == (0, "")
    assert " ".join(done.stdout.splitlines()[2].split()).startswith("t3k 1x8 yes yes 3 ")


UNUSABLE = {
    "model.py": "'model.py': expected FILE.py:FUNCTION, e.g. model.py:forward",
    "none.py:add": "none.py: cannot be read: expected a Python file",
    "model.py:sub": "model.py:sub: the file has no function sub",
    "model.py:add": "model.py:add: takes x, w: give their shapes, e.g. f32[8,128]:batch,None, or name",
    "model.py:nothing": "model.py:nothing: returns no (function, *arguments): expected a tuple",
    "model.py:add 8": "'8' is not a shape: expected DTYPE[DIMENSIONS]",
    "model.py:fft f33[8]": "f33[8]: data type 'float33' not understood",
    "model.py:fft f32[8]:rows": "f32[8]:rows: ",
    "model.py:fft f32[7]:model --mesh 1x2": "f32[7]:model: ",
    "model.py:fft f32[8] --mesh 1x8 --system n300": "--system n300: mesh 1x8 needs 8 chips, n300 has 2",
    "model.py:fft f32[8] --system n30": "'n30' is not a system (did you mean n300?)",
    "model.py:fft f32[8] --option x=1": "'x' is not a TT compiler option",
}


def test_what_cannot_be_used(compile_tt: Compile) -> None:
    """Each is one line and exit code 2. All in one process, for the time that it takes to start jax."""
    done = compile_tt("--each", *UNUSABLE)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (0, "2\n" * len(UNUSABLE), len(UNUSABLE)), done.stderr
    for line, said in zip(lines, UNUSABLE.values(), strict=True):
        assert line.startswith("pytest-tt compile: ")
        assert said in line
