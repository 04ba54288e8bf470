"""Emulated programs that are kept as jax lowered them: a second run does not trace them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from pytest_tt.emulator.exports import Exports
from pytest_tt.emulator.numerics import chip
from pytest_tt.emulator.run import Emulator
from pytest_tt.tt_compiler.artifact import Split
from pytest_tt.tt_compiler.lowering import lower
from tests.recorded import programs
from tests.recorded.reading import FILE, program, text

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("flatbuffers", reason="the extra compiler is not installed")

SYSTEMS = {1: "n150", 2: "n300"}


class Kept:
    """A recorded program with arguments, whose emulators keep what they lower in `directory`."""

    def __init__(self, name: str, mesh: Any, directory: Path) -> None:
        function, shapes = getattr(programs, name)(mesh)
        random = np.random.default_rng(0)
        self.arguments = [
            jax.device_put((random.normal(size=shape.shape) * 0.3).astype(shape.dtype), shape.sharding)
            for shape in shapes
        ]
        self._mesh, self._directory = mesh, directory
        self._lowered = lower(jax.jit(function), self.arguments, name=name)
        card = program(name, SYSTEMS[mesh.size], self._lowered.mesh, ttnn=text(name))
        self._card = replace(card, outputs=(Split(),))

    def emulator(self, *, edit: tuple[str, str] = ("", "")) -> Emulator:
        card = replace(self._card, ttnn=self._card.ttnn.replace(*edit))
        return Emulator.of(card, self._lowered, self._mesh, exports=Exports(self._directory))

    def files(self) -> list[Path]:
        return sorted(self._directory.glob("*"))


@pytest.mark.tt(mesh="1x2")
def test_a_second_run_does_not_trace(tt_mesh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Kept("tensor_parallel", tt_mesh, tmp_path)
    first = case.emulator()
    (expected,) = first(*case.arguments)
    (rounded,) = first.by(chip("wormhole"))(*case.arguments)
    assert len(case.files()) == 2
    monkeypatch.setattr(Emulator, "_jit", None)
    (again,) = case.emulator()(*case.arguments)
    np.testing.assert_array_equal(again, expected)
    assert again.sharding == expected.sharding
    (again,) = case.emulator().by(chip("wormhole"))(*case.arguments)
    np.testing.assert_array_equal(again, rounded)
    assert (np.asarray(rounded) != np.asarray(expected)).any()


@pytest.mark.tt(mesh="1x1")
def test_only_the_same_program_is_taken(tt_mesh: Any, tmp_path: Path) -> None:
    case = Kept("mlp", tt_mesh, tmp_path)
    (expected,) = case.emulator()(*case.arguments)
    case.emulator(edit=(FILE, "elsewhere.py"))(*case.arguments)
    assert len(case.files()) == 1
    (other,) = case.emulator(edit=("ttnn.relu", "ttnn.abs"))(*case.arguments)
    assert len(case.files()) == 2
    assert (np.asarray(other) != np.asarray(expected)).any()


@pytest.mark.tt(mesh="1x1")
def test_what_is_half_there_is_not_there(tt_mesh: Any, tmp_path: Path) -> None:
    case = Kept("mlp", tt_mesh, tmp_path)
    (expected,) = case.emulator()(*case.arguments)
    (path,) = case.files()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    (result,) = case.emulator()(*case.arguments)
    np.testing.assert_array_equal(result, expected)
    assert Exports(tmp_path).get(path.stem) is not None


def test_what_jax_cannot_write_down_is_not_kept(tmp_path: Path) -> None:
    def called_back(x: Any) -> Any:
        return jax.pure_callback(np.asarray, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    exports = Exports(tmp_path)
    assert exports.put("key", jax.jit(called_back), [np.zeros(3, np.float32)]) is None
    assert exports.get("key") is None
