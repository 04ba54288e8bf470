"""The second verdict, on programs that hold what upstream's compiler does not take."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from recorded.reading import text

from pytest_tt.tt_compiler import upstream
from pytest_tt.tt_compiler.upstream import refused, verdict

if TYPE_CHECKING:
    from pathlib import Path

MODEL = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
import pytest_tt
pytest_tt.open_chips("1x1", backend="sim")  # keeps jax from loading an installed plugin
X, N, S = np.ones((4, 4), np.float32), np.zeros(1, np.int32), np.float32(2)

def plain(x, n): return x @ x + jnp.exp(x)
def bfloat16(x, n): return x.astype(jnp.bfloat16)
def loop(x, n): return jax.lax.fori_loop(0, n[0], lambda i, y: y + i, x)
def branches(x, n): return jax.lax.cond(n[0] > 0, jnp.sin, jnp.cos, x)
def update(x, n): return jax.lax.dynamic_update_slice(x, x[:1], (n[0], 0))
def by_platform(x, n): return jax.lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos)
def half(x, n): return x.astype(jnp.float16)
def rounded(x, n): return jnp.round(x)
def shifted(x, n): return n >> 1
def random(x, n): return jax.lax.rng_uniform(0.0, 1.0, (2,))
def scalar(x, s): return x * s

def print_text(*names):
    functions = {name: globals()[name] for name in names}
    told = {}
    for name, function in functions.items():
        lowered = jax.jit(function).lower(X, S if name == "scalar" else N)
        told[name] = [lowered.as_text(), lowered.as_text(debug_info=True)]
    json.dump(told, sys.stdout)

print_text(*sys.argv[1:])
"""
FOUND = {
    "plain": (),
    "bfloat16": (),
    "loop": ("while",),
    "branches": ("case",),
    "by_platform": (),
    "update": ("dynamic_update_slice",),
    "half": ("type f16",),
    "rounded": ("round_nearest_even",),
    "shifted": ("shift_right_arithmetic",),
    "random": ("rng",),
    "scalar": ("scalar argument",),
}


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """The text of each program, without and with locations."""
    script: Path = tmp_path_factory.mktemp("upstream") / "model.py"
    script.write_text(MODEL, encoding="utf-8")
    done = subprocess.run([sys.executable, script, *FOUND], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: tuple(texts) for name, texts in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found_and_where(lowered: dict[str, tuple[str, str]], name: str) -> None:
    plain, located = lowered[name]
    assert refused(plain) == refused(located) == FOUND[name]
    assert all(finding.location.frames == () for finding in verdict(plain))
    for finding in verdict(located):
        if finding.name == "scalar argument":
            continue
        frame = finding.location.frame
        assert frame is not None
        assert frame.file.endswith("model.py")
        assert f"def {name}(" in MODEL.splitlines()[frame.line - 1]
        assert str(finding).startswith(f"{finding.name} at {frame.file}:{frame.line}: ")


def test_reasons_name_source_and_date() -> None:
    (finding,) = verdict(text("loop", "stablehlo"))
    assert finding.reason == "tt-mlir 19c86fca (2026-08-21) has no lowering for it"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", upstream.DATE)
    assert upstream.SOURCE in finding.reason
    reasons = {
        name: upstream.verdict(PROGRAM.replace("NAME", name))[0].reason
        for name in ("dynamic_update_slice", "rng_bit_generator", "popcnt")
    }
    assert "on the host" in reasons["dynamic_update_slice"]
    assert "ignores its state" in reasons["rng_bit_generator"]
    assert "no lowering" in reasons["popcnt"]


PROGRAM = """module {
  func.func public @main(%arg0: tensor<4xi32>) -> tensor<4xi32> {
    %0 = stablehlo.NAME %arg0 : tensor<4xi32>
    return %0 : tensor<4xi32>
  }
}"""


def test_each_op_and_place_once(lowered: dict[str, tuple[str, str]]) -> None:
    (finding,) = verdict(PROGRAM.replace("NAME %arg0", "popcnt %arg0 : x\n    %1 = stablehlo.popcnt %arg0"))
    assert finding.name == "popcnt"
    assert len(verdict(text("both_axes", "stablehlo"))) == 0


def test_text_that_is_no_program() -> None:
    with pytest.raises(ValueError, match="func public @main"):
        refused("")
