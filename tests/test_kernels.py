"""Programs as real kernels run them: how they are described, run by a ttnn that NumPy stands in for, and by the real.

The last needs an interpreter with ttnn and Wolfpine, which PYTEST_TT_KERNELS_PYTHON names, and TT's compiler: nox's
session `kernels` has both.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_tt.kernels import worker
from pytest_tt.kernels.installation import Installation, KernelsMissing, find
from pytest_tt.kernels.program import KernelsError, described
from pytest_tt.kernels.run import run
from pytest_tt.tt_compiler.build import Build, CompilerMissing, find_build
from pytest_tt.tt_compiler.card_program import CardProgram, Compiler

RECORDED = Path(__file__).parent / "recorded"
PYTHON = os.environ.get("PYTEST_TT_KERNELS_PYTHON")

FUNCTIONS = """
import jax


def add(x, y):
    return x + y


def product(x, w):
    return x @ w


def mlp(x, w, b, v):
    return jax.nn.relu(x @ w + b) @ v
"""
CALLS = {
    "add": ["f32[32,32]", "f32[32,32]"],
    "product": ["f32[32,64]", "f32[64,32]"],
    "mlp": ["f32[8,64]", "f32[64,128]", "f32[128]", "f32[128,32]"],
}


def recorded(name: str, mesh: str = "1x1", **changes: str) -> CardProgram:
    text = (RECORDED / f"{name}.ttnn.mlir").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return CardProgram(name, "n150", mesh, Compiler("jax-tt-plugin", "0.1.3", None), "", text)


class NumpyTTNN:
    """The part of ttnn that an mlp needs."""

    TILE_LAYOUT, ROW_MAJOR_LAYOUT = "tile", "rows"
    float32 = "f32"
    MathFidelity = SimpleNamespace(HiFi4="HiFi4")

    def __init__(self) -> None:
        self.configs: list[dict[str, Any]] = []

    def WormholeComputeKernelConfig(self, **settings: Any) -> dict[str, Any]:
        self.configs.append(settings)
        return settings

    def to_layout(self, x: np.ndarray, layout: str) -> np.ndarray:
        return x

    def relu(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    def matmul(self, a: np.ndarray, b: np.ndarray, **settings: Any) -> np.ndarray:
        assert settings["transpose_a"] is settings["transpose_b"] is False
        return a @ b

    def linear(self, a: np.ndarray, b: np.ndarray, bias: np.ndarray, **settings: Any) -> np.ndarray:
        return self.matmul(a, b, **settings) + bias


def test_a_program_is_run_op_by_op() -> None:
    program = json.loads(json.dumps(described(recorded("mlp"))))
    numbers = np.random.default_rng(0)
    given = [numbers.standard_normal(entry["shape"]) for entry in program["inputs"]]
    ttnn = NumpyTTNN()
    (result,) = worker.call(program, program["main"], given, ttnn, None)
    x, w, b, v = given
    np.testing.assert_allclose(result, np.maximum(x @ w + b, 0) @ v, rtol=1e-12)
    assert ttnn.configs == [{"math_fidelity": "HiFi4", "fp32_dest_acc_en": True}] * 2


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (recorded("tensor_parallel", mesh="1x2"), r"tensor_parallel is for mesh 1x2: .* on one chip, mesh 1x1"),
        (recorded("convolution"), r"ttnn\.conv2d at .*programs\.py:\d+: not among the ops that are run by real"),
        (
            recorded("mlp", **{'"ttnn.relu"(%3)': '"ttnn.relu"(%3) <{slope = 2 : i32}>'}),
            r"ttnn\.relu at .*programs\.py:\d+: attribute slope: expected only none",
        ),
        (recorded("mlp", f32="f64"), r"argument %arg0: .* expected a tensor of f32, bf16"),
    ],
    ids=["several chips", "op", "attribute", "element"],
)
def test_what_is_not_known_is_refused(program: CardProgram, text: str) -> None:
    with pytest.raises(KernelsError, match=text):
        described(program)


def installation(tmp_path: Path, script: str) -> Installation:
    """One whose interpreter does `script` in place of the worker."""
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{script}\n")
    python.chmod(0o755)
    (tmp_path / "ttnn/runtime/hw").mkdir(parents=True)
    (tmp_path / "sfpi").mkdir()
    return Installation(python, tmp_path / "ttnn", tmp_path / "simulator", tmp_path / "sfpi")


def test_the_compiler_of_kernels_is_put_in_its_place(tmp_path: Path) -> None:
    with installation(tmp_path, "").environment(tmp_path) as environment:
        root = Path(environment["TT_METAL_RUNTIME_ROOT"])
        assert (root / "runtime/sfpi").resolve() == (tmp_path / "sfpi").resolve()
        assert (root / "runtime/hw").resolve() == (tmp_path / "ttnn/runtime/hw").resolve()
    assert not root.exists()


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (
            "import sys; print('op ttnn.matmul at m.py:3'); sys.exit('TT_FATAL: blocks exceed cores')",
            "mlp: at ttnn.matmul at m.py:3: blocks exceed cores",
        ),
        ("raise SystemExit(3)", "mlp: before the first op: exit 3"),
        ("import time; time.sleep(60)", "mlp: not done after 1 s, before the first op"),
    ],
    ids=["fatal", "ends", "hangs"],
)
def test_a_run_that_fails_says_where(tmp_path: Path, script: str, text: str) -> None:
    inputs = [np.zeros(shape, np.float32) for shape in ((8, 64), (64, 128), (128,), (128, 32))]
    limit_s = 1 if "sleep" in script else 30
    with pytest.raises(KernelsError, match=re.escape(text)):
        run(recorded("mlp"), inputs, installation(tmp_path, script), cache=tmp_path, limit_s=limit_s)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Build("jax-tt-plugin", "0.1.3", tmp_path / "libtt.so", "")
    with pytest.raises(KernelsMissing, match=r"--python .*nowhere: cannot be run .*: expected a Python 3.12 with ttnn"):
        find(tmp_path / "nowhere", "blackhole", tmp_path, build)
    asked = {"ttnn": None, "framework": None}
    (tmp_path / "python").write_text(f"#!{sys.executable}\nprint('''{json.dumps(asked)}''')\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(KernelsMissing, match=r"has no ttnn: python3\.12 -m venv kernels && .* --python kernels/bin/py"):
        find(tmp_path / "python", "blackhole", tmp_path, build)
    asked["ttnn"] = str(tmp_path / "ttnn/__init__.py")
    (tmp_path / "python").write_text(f"#!{sys.executable}\nprint('''{json.dumps(asked)}''')\n")
    monkeypatch.delenv("TT_METAL_SIMULATOR", raising=False)
    with pytest.raises(KernelsMissing, match="no wolfpine, and TT_METAL_SIMULATOR is not set"):
        find(tmp_path / "python", "blackhole", tmp_path, build)


def _has_compiler() -> bool:
    try:
        find_build()
    except CompilerMissing:
        return False
    return True


@pytest.mark.skipif(PYTHON is None, reason="PYTEST_TT_KERNELS_PYTHON names no interpreter with ttnn")
@pytest.mark.skipif(not _has_compiler(), reason="TT's compiler is not installed")
@pytest.mark.parametrize("name", CALLS)
def test_real_kernels(tmp_path: Path, name: str) -> None:
    """What kernels give is as far from float32 as TF32 is, and the emulator says so."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    command = [sys.executable, "-m", "pytest_tt", "kernels", f"functions.py:{name}", *CALLS[name]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kernels, emulated, apart = map(float, done.stdout.splitlines()[-1].split()[-3:])
    if name == "add":
        assert kernels == emulated == apart == 0
    else:
        assert 5e-4 < kernels < 5e-3
        assert kernels / 2 < emulated < kernels * 2
        assert apart < kernels
