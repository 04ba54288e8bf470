"""TT's own compiler, where it is installed: every system, what it refuses, and that a second run compiles nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from descriptor_reading import read_descriptor

from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler.build import CompilerMissing, find_build, schema_hashes
from pytest_tt.tt_compiler.descriptor import descriptor

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
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler.build import find_build
from pytest_tt.tt_compiler.compile import compile_program, identify, servers
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


def test_what_is_known_of_the_build_is_what_the_library_says():
    build = find_build()
    assert identify(replace(build, tt_mlir=None, schema_hash=None), STORE) == build


def test_options():
    program = lower(mlp, [SHAPE((32, 32), np.float32)] * 3)
    fast = compile_program(program, system="p150", options={"math_fidelity": "lofi"}, store=STORE)
    assert "lofi" in fast.ttnn
    with pytest.raises(ValueError, match="target_module: jax-tt-plugin does not have it"):
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
    run_tt("--tt-backend", "sim", "test_inner.py").assert_outcomes(passed=5)
    found = json.loads((pytester.path / "found.json").read_text())
    assert found == {
        f"{name} {mesh}": [2, {} if mesh == "1x1" else {"all-reduce": 1}, True]
        for name, system in SYSTEMS.items()
        for mesh in system.meshes
    }
    assert (pytester.path / "started").read_text() == "1"
    assert list((tmp_path / "temporary").glob("pytest-tt-compiler-*")) == [], "it leaves nothing"
    run_tt("--tt-backend", "sim", "test_inner.py").assert_outcomes(passed=5)
    assert (pytester.path / "started").read_text() == "0", "the second run compiles nothing"
    assert json.loads((pytester.path / "found.json").read_text()) == found


MOCKED = """
import os
import sys
from pathlib import Path

from pytest_tt.targets import jax_private
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler import native
from pytest_tt.tt_compiler.build import find_build
from pytest_tt.tt_compiler.cluster import cluster

build = find_build()
native.load(build.library)
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        directory = Path(name).absolute()
        directory.mkdir()
        (directory / "cluster.yaml").write_text(cluster(SYSTEMS[name]))
        os.environ["TMPDIR"] = str(directory)
        os.environ["TT_METAL_MOCK_CLUSTER_DESC_PATH"] = str(directory / "cluster.yaml")
        jax_private.client_of_library("tt", str(build.library))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""

# Which cores are nearest depends on what is harvested; what tt-metal keeps for itself on its version.
OWN = ("near_banks_noc0", "near_banks_noc1")
RESERVED = ("l1_unreserved_base", "erisc_l1_unreserved_base", "dram_unreserved_base", "dram_unreserved_end")


@pytest.mark.skipif(not os.environ.get("ZOO_SLOW"), reason="opens mock devices of several boxes (ZOO_SLOW=1)")
@pytest.mark.parametrize("names", [("p100", "p150"), ("qb2",)], ids="-".join)
def test_descriptors_are_those_of_mocked_boxes(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_kernels: Path
) -> None:
    """What the plugin itself writes when its runtime opens mocked chips; it cannot mock Wormhole's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TT_METAL_CACHE", str(mock_kernels))
    command = [sys.executable, "-c", MOCKED, *names]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    for assets in tmp_path.glob("libtt-*"):
        shutil.rmtree(assets)
    assert run.returncode == 0, run.stderr[-3000:]
    for name in names:
        theirs = read_descriptor((tmp_path / name / "tt_pjrt_system_descriptor").read_bytes())
        ours = read_descriptor(descriptor(SYSTEMS[name], theirs["schema_hash"]))
        for key in ("schema_hash", "indices", "capabilities", "links"):
            assert ours[key] == theirs[key], (name, key)
        assert len(ours["chips"]) == len(theirs["chips"])
        for mine, other in zip(ours["chips"], theirs["chips"], strict=True):
            exact = mine.keys() - {*OWN, *RESERVED}
            assert {key: mine[key] for key in exact} == {key: other[key] for key in exact}, name
            assert len(mine["near_banks_noc0"]) == len(other["near_banks_noc0"])
            l1, dram = [
                [chip[size] - chip[base] for chip in (mine, other)]
                for size, base in (("l1_size", "l1_unreserved_base"), ("dram_unreserved_end", "dram_unreserved_base"))
            ]
            assert l1[0] == pytest.approx(l1[1], rel=0.05), name
            assert dram[0] == pytest.approx(dram[1], rel=0.002), name
        assert theirs["schema_hash"] in schema_hashes(find_build().library)
