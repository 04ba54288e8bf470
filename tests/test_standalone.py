"""`pytest_tt.open_chips`: the plugin's chips in a script, in a notebook, and from within a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from device_tree import make_system
from test_hw_run import make_environment

import pytest_tt

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    RunTT = Callable[..., pytest.RunResult]


def run_script(code: str, python: Path | str = sys.executable) -> None:
    """Run `code` in a process of its own, where warnings are errors."""
    command = [str(python), "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(pytest_tt.__file__).parents[1], timeout=300)
    assert done.returncode == 0, done.stderr


def test_simulated_chips_of_a_script() -> None:
    run_script("""
import sys
import pytest_tt
assert "jax" not in sys.modules
chips = pytest_tt.open_chips("1x2")
assert chips.mesh.devices.shape == (1, 2) and chips.mesh.axis_names == ("batch", "model")
assert chips.ground is chips.target and chips.ground.backend == "sim" and chips.target.why == "auto: no card found"
import jax, numpy
assert len(jax.devices("tt")) == 8 and jax.default_backend() == "cpu"
assert list(chips.mesh.devices.flat) == jax.devices("tt")[:2]
assert pytest_tt.open_chips("2x4", backend="sim", axes=("x", "y")).mesh.axis_names == ("x", "y")
assert len(pytest_tt.open_chips("8x4").mesh.devices.flat) == 32  # nothing lies on the eight
kept = jax.device_put(numpy.ones(3), jax.devices("tt")[31])
assert len(pytest_tt.open_chips("1x2").mesh.devices.flat) == 2
assert kept.devices() == {jax.devices("tt")[31]}
for mesh, backend, kind, text in (
    ("1x64", "auto", pytest_tt.ChipsError, "mesh 1x64 has 64 chips, and arrays of this process are on the fewer ones"),
    ("1x2", "hw", pytest_tt.ChipsError, "this process simulates chips already"),
    ("1y2", "sim", ValueError, "'1y2' is not a mesh"),
    ("1x2", "gpu", ValueError, "'gpu' is not a backend: expected auto, sim, emu or hw"),
):
    try:
        pytest_tt.open_chips(mesh, backend=backend)
    except kind as error:
        assert str(error).startswith(text), error
    else:
        raise AssertionError(text)
""")


def test_after_jax_has_started() -> None:
    run_script("""
import jax
before = jax.numpy.ones(3) + 1
import pytest_tt
mesh = pytest_tt.open_chips("1x4").mesh
spread = jax.device_put(jax.numpy.zeros(4), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("model")))
assert len((spread + 1).sharding.device_set) == 4
assert (before + 1).devices() == {jax.devices("cpu")[0]}
""")


def test_no_card() -> None:
    run_script("""
import pytest_tt
try:
    pytest_tt.open_chips(backend="hw")
except pytest_tt.ChipsError as error:
    assert str(error).startswith("backend hw: ") and str(error).endswith("or use backend sim"), error
else:
    raise AssertionError("opened")
""")


def test_within_a_test_they_are_those_of_the_run(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.tt(mesh="4x4")
        def test_first():
            import pytest_tt
            assert pytest_tt.open_chips("1x2").mesh.devices.shape == (1, 2)

        @pytest.mark.tt(mesh="4x4")
        def test_second(tt_mesh):
            import jax, pytest_tt
            assert len(jax.devices("tt")) == 16
            assert pytest_tt.open_chips("4x4").mesh == tt_mesh
    """)
    run_tt().assert_outcomes(passed=2)


def test_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fakes of the wheel and the card: opened, held, and not exceeded."""
    monkeypatch.setenv("PYTEST_TT_DEVICE_ROOT", str(make_system(tmp_path / "machine", "n300")))
    monkeypatch.setenv("FAKE_CHIPS", "2")
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    code = """
import os
from pathlib import Path
import pytest_tt
chips = pytest_tt.open_chips("1x2")
assert (chips.target.name, chips.target.system, chips.target.chips) == ("hw", "n300", 2), chips.target
(lock,) = Path(os.environ["PYTEST_TT_DEVICE_ROOT"], "tmp").glob("*.lock")
assert f'"pid": {os.getpid()}' in lock.read_text()
assert pytest_tt.open_chips("1x1", backend="hw").mesh.devices.flat[0] == chips.mesh.devices.flat[0]
for mesh, backend, text in (
    ("1x8", "auto", "mesh 1x8 has 8 chips, here is n300 (2 chips)"),
    ("1x1", "sim", "this process runs on real chips already"),
):
    try:
        pytest_tt.open_chips(mesh, backend=backend)
    except pytest_tt.ChipsError as error:
        assert str(error).startswith(text), error
    else:
        raise AssertionError(text)
"""
    run_script(code, make_environment(tmp_path / "environment", "working").python)
