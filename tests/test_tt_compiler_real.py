"""TT's own compiler, where it is installed: every system, what it refuses, and that a second run compiles nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler.build import CompilerMissing, find_build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _missing() -> str:
    try:
        find_build()
    except CompilerMissing as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(_missing()), reason=_missing())

INNER = """
import json
import re
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler.compile import compile_program, servers
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import lower
from pytest_tt.tt_compiler.store import Store

SHAPE = jax.ShapeDtypeStruct
STORE = Store(Path("store"))


def mlp(x, up, down):
    return jax.nn.relu(x @ up) @ down


def lowered(rows, columns):
    mesh = Mesh(np.array(jax.devices("tt")[: rows * columns]).reshape(rows, columns), ("batch", "model"))
    specs = P("batch"), P(None, "model"), P("model")
    shapes = SHAPE((64, 128), np.float32), SHAPE((128, 1024), np.float32), SHAPE((1024, 128), np.float32)
    placed = [SHAPE(s.shape, s.dtype, sharding=NamedSharding(mesh, spec)) for s, spec in zip(shapes, specs)]
    return lower(jax.jit(mlp, out_shardings=NamedSharding(mesh, P("batch"))), placed)


@pytest.mark.tt(mesh="8x4")
def test_every_system(tt_mesh, capfd):
    found = {}
    for system in SYSTEMS.values():
        for mesh in system.meshes:
            program = compile_program(lowered(*map(int, mesh.split("x"))), system=system.name, store=STORE)
            assert (program.mesh, program.system) == (mesh, system.name)
            found[f"{system.name} {mesh}"] = [program.ops["matmul"], program.collectives, program.fits]
    Path("found.json").write_text(json.dumps(found))
    assert capfd.readouterr() == ("", "")


def test_options():
    program = lower(mlp, [SHAPE((32, 32), np.float32)] * 3)
    fast = compile_program(program, system="p150", options={"math_fidelity": "lofi"}, store=STORE)
    assert "lofi" in fast.ttnn
    with pytest.raises(TTCompileError, match="No such compile option: 'target_module'"):
        compile_program(program, system="p150", options={"target_module": True}, store=STORE)


def factor(x):
    return jnp.linalg.cholesky(x)  # here


def test_a_refusal():
    line = 1 + Path(__file__).read_text().splitlines().index("    return jnp.linalg.cholesky(x)  # here")
    for _ in range(2):
        with pytest.raises(TTCompileError, match="factor: stablehlo.cholesky at .*: failed to legalize") as caught:
            compile_program(lower(factor, (SHAPE((32, 32), np.float32),)), system="n300", store=STORE)
        assert (caught.value.file, caught.value.line) == (__file__, line)


def test_how_many_were_started():
    Path("started").write_text(str(sum(server.pid is not None for server in servers())))
"""


def test_systems_options_and_refusals(
    pytester: pytest.Pytester, run_tt: Callable[..., pytest.RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    pytester.makepyfile(test_inner=INNER)
    run_tt("--tt-backend", "sim", "test_inner.py").assert_outcomes(passed=4)
    found = json.loads((pytester.path / "found.json").read_text())
    assert found == {
        f"{name} {mesh}": [2, {} if mesh == "1x1" else {"all-reduce": 1}, True]
        for name, system in SYSTEMS.items()
        for mesh in system.meshes
    }
    assert (pytester.path / "started").read_text() == "1"
    assert list((tmp_path / "temporary").glob("pytest-tt-compiler-*")) == [], "it leaves nothing"
    run_tt("--tt-backend", "sim", "test_inner.py").assert_outcomes(passed=4)
    assert (pytester.path / "started").read_text() == "0", "the second run compiles nothing"
    assert json.loads((pytester.path / "found.json").read_text()) == found
