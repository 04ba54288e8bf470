"""A real results document for the tests of what reads one: written by a small run, then changed as each test wants."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    Change = Callable[[dict[str, Any]], None]

SUITE = """
    import json
    from pathlib import Path

    import numpy as np
    import pytest
    from jax.sharding import NamedSharding, PartitionSpec as P

    from pytest_tt.golden import Golden, save

    X = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    PARAMS = {f"layer_{n}": np.random.default_rng(n).normal(size=(16, 16)).astype(np.float32) for n in (0, 1)}
    GOLDEN = Golden(None, {"x": X}, {"logits": X @ PARAMS["layer_0"] @ PARAMS["layer_1"].T}, {
        "case": "small", "model": "two-layers", "variant": "small",
        "reference": {"implementation": "numpy", "versions": {}}, "weights": {"kind": "synthetic", "seed": 0},
    })
    save(Path(__file__).parent / "golden" / "small.safetensors", GOLDEN)

    def run(tt_jit, scale=1.0):
        tt_jit.work(tokens=8)
        forward = tt_jit(
            lambda params, x: x @ params["layer_0"] @ params["layer_1"].T * scale,
            in_shardings=(P(None, "model"), P("batch", None)), out_shardings=P("batch", None),
        )
        return {"logits": forward(PARAMS, X)}

    @pytest.mark.tt(mesh=["1x1", "1x2", "2x4"])
    def test_layers(tt_jit, tt_golden):
        tt_golden(run(tt_jit), "small")

    @pytest.mark.tt(mesh="1x2")
    def test_scaled(tt_jit, tt_golden):
        tt_golden(run(tt_jit, 1.5), "small")

    @pytest.mark.tt(mesh="1x2")
    @pytest.mark.skip(reason="not today")
    def test_skipped(tt_mesh): pass

    @pytest.mark.tt(mesh="1x2")
    @pytest.mark.xfail(reason="known", strict=True)
    def test_known(tt_mesh): raise ValueError("as known")

    BOTH = ("batch", "model")
    SPECS = [P("batch"), P("model"), P(BOTH), P(BOTH[::-1]), P(None, "batch"), P("model", "batch"), P()]

    @pytest.mark.tt(mesh="2x4")
    def test_who_holds_what(tt_mesh):
        held = []
        for spec in SPECS:
            slices = NamedSharding(tt_mesh, spec).devices_indices_map((16, 16))
            held.append([[str(slices[device]) for device in row] for row in tt_mesh.devices])
        Path(__file__).with_name("held.json").write_text(json.dumps(held))
"""


@cache
def _run() -> tuple[str, str]:
    """The document's text, and which slices jax gives to each chip; one run a process is enough."""
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        (room / "pytest.ini").write_text("[pytest]\n")
        (room / "test_small.py").write_text(textwrap.dedent(SUITE))
        command = [sys.executable, "-m", "pytest", "-p", "pytest_tt", "-p", "no:cacheprovider", "--tt-system", "t3k"]
        done = subprocess.run(
            [*command, "--tt-results", "real.json"], cwd=room, capture_output=True, text=True, check=False, timeout=120
        )
        assert "1 failed, 4 passed, 1 skipped, 1 xfailed" in done.stdout, done.stdout + done.stderr
        return (room / "real.json").read_text(encoding="utf-8"), (room / "held.json").read_text(encoding="utf-8")


def real_text() -> str:
    """The text of a document that a run wrote: passed, failed, skipped and xfailed tests of meshes 1x1, 1x2, 2x4."""
    return _run()[0]


def held() -> list[list[list[str]]]:
    """For each of the suite's SPECS and each chip of a mesh 2x4 the slices of a 16x16 array that jax puts there."""
    found: list[list[list[str]]] = json.loads(_run()[1])
    return found


def real_document() -> Json:
    """The document, fresh for each caller to change."""
    document: Json = json.loads(real_text())
    return document


def row_of(document: Json, name: str) -> Json:
    """The row of the test called `name`, e.g. ``test_layers[1x2]``."""
    (row,) = (row for row in document["tests"] if row["nodeid"] == f"test_small.py::{name}")
    return row  # type: ignore[no-any-return]


def write(path: Path, document: Json) -> Path:
    """`document` as a file."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
