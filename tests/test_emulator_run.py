"""Recorded programs of TT's compiler, run on simulated chips: exactly, they give what XLA gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from pytest_tt.emulator import run
from pytest_tt.emulator.differences import costs, first_difference
from pytest_tt.emulator.errors import ChipsDisagreeError, EmulationError
from pytest_tt.emulator.numerics import EXACT, chip
from pytest_tt.emulator.run import Emulator
from pytest_tt.tt_compiler.artifact import Split
from pytest_tt.tt_compiler.lowering import lower
from tests.recorded import programs
from tests.recorded.reading import FILE, line_of, program, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import Mesh

    from pytest_tt.emulator.numerics import Numerics

SYSTEMS = {1: "n150", 2: "n300", 8: "t3k"}
TENSOR_PARALLEL = "jnp.tanh(x @ w) @ v"


class Recorded:
    """A recorded program, changed by `edit`, with arguments; how its results are split is as it was compiled."""

    def __init__(
        self,
        name: str,
        mesh: Mesh,
        *,
        edit: Callable[[str], str] | None = None,
        spec: P | None = None,
        numerics: Numerics = EXACT,
        **jit_options: Any,
    ) -> None:
        function, shapes = getattr(programs, name)(mesh)
        if spec is not None:
            jit_options["out_shardings"] = NamedSharding(mesh, spec)
        self.jitted = jax.jit(function, **jit_options)
        random = np.random.default_rng(0)
        self.arguments = [
            jax.device_put((random.normal(size=shape.shape) * 0.3).astype(shape.dtype), shape.sharding)
            for shape in shapes
        ]
        self.lowered = lower(self.jitted, self.arguments, name=name)
        ttnn = text(name)
        changed = ttnn if edit is None else edit(ttnn)
        assert edit is None or changed != ttnn
        here = changed.replace(FILE, str(programs.__file__))
        card = program(name, SYSTEMS[mesh.size], self.lowered.mesh, ttnn=here)
        self.emulator = Emulator.of(replace(card, outputs=(Split(),)), self.lowered, mesh, numerics)

    def first_difference(self) -> Any:
        return first_difference(self.emulator, self.jitted.trace(*self.arguments).jaxpr, self.arguments)


def assert_exact(actual: Any, expected: Any, bound: float = 1e-6) -> None:
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert actual.sharding.is_equivalent_to(expected.sharding, actual.ndim)
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert np.linalg.norm(a - e) <= bound * np.linalg.norm(e)


@pytest.mark.tt(mesh="1x1")
@pytest.mark.parametrize("name", ["mlp", "loop", "branches", "convolution", "constants"])
def test_one_chip(name: str, tt_mesh: Any) -> None:
    case = Recorded(name, tt_mesh)
    (result,) = case.emulator(*case.arguments)
    assert_exact(result, case.jitted(*case.arguments))


@pytest.mark.tt(mesh="1x1")
def test_results_have_the_users_type(tt_mesh: Any) -> None:
    case = Recorded("low_precision", tt_mesh)
    (result,) = case.emulator(*case.arguments)
    assert_exact(result, case.jitted(*case.arguments), 5e-3)  # XLA rounds to bfloat16 on the way


@pytest.mark.tt(mesh="1x2")
def test_two_chips(tt_mesh: Any) -> None:
    case = Recorded("tensor_parallel", tt_mesh)
    compiled = case.emulator.compile(*case.arguments)
    (result,) = case.emulator(*map(np.asarray, case.arguments))  # from the host: placed as the program takes them
    assert_exact(result, case.jitted(*case.arguments))
    assert case.emulator.compile(*case.arguments) is compiled
    assert case.first_difference() is None


@pytest.mark.tt(mesh="2x4")
@pytest.mark.parametrize(
    ("name", "spec"), [("collectives", P("batch", "model")), ("exchanges", P(("batch", "model"), None))]
)
def test_eight_chips(name: str, spec: P, tt_mesh: Any) -> None:
    case = Recorded(name, tt_mesh, spec=spec)
    (result,) = case.emulator(*case.arguments)
    assert_exact(result, case.jitted(*case.arguments))


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param(name, spec, marks=pytest.mark.tt(mesh=mesh), id=name)
        for mesh, names, spec in [
            ("1x1", ("mlp", "loop", "branches", "constants", "low_precision"), None),
            ("1x2", ("tensor_parallel",), None),
            ("1x2", ("caching",), P(None, "model")),
            ("2x4", ("collectives",), P("batch", "model")),
        ]
        for name in names
    ],
)
def test_op_by_op_as_at_once(name: str, spec: P | None, tt_mesh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each digit is the same, also of the chip's numbers."""
    for numerics in (EXACT, chip("wormhole")):
        case = Recorded(name, tt_mesh, spec=spec, numerics=numerics)
        at_once = case.emulator(*case.arguments)
        with monkeypatch.context() as patched:
            patched.setattr(run, "MANY", 0)
            emulator = case.emulator.by(numerics)
            assert not isinstance(emulator.compile(*case.arguments), jax.stages.Compiled)
            op_by_op = emulator(*case.arguments)
        for one, other in zip(at_once, op_by_op, strict=True):
            assert (one.shape, one.dtype, one.sharding) == (other.shape, other.dtype, other.sharding)
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other), strict=True)


@pytest.mark.tt(mesh="2x4")
def test_under_shard_map_each_chips_values_are_compared(tt_mesh: Any) -> None:
    spec = P("batch", "model")
    assert Recorded("collectives", tt_mesh, spec=spec).first_difference() is None
    wrong = Recorded("collectives", tt_mesh, spec=spec, edit=lambda text: text.replace("type<sum>", "type<max>", 1))
    found = wrong.first_difference()
    assert (found.op.name, found.equation.primitive[:4], found.compared) == ("ttnn.all_reduce", "psum", 0)
    assert found.op.location.frame.line == line_of('y = lax.psum(x, "model") + ')


@pytest.mark.tt(mesh="1x2")
def test_a_cache_is_written_in_place(tt_mesh: Any) -> None:
    case = Recorded("caching", tt_mesh, spec=P(None, "model"))
    (result,) = case.emulator(*case.arguments)
    expected = case.jitted(*case.arguments)
    assert_exact(result, expected, 0.0)
    assert not np.array_equal(expected, case.arguments[0])
    assert case.first_difference() is None
    written = case.emulator.program.computing_result(0)
    assert written is not None
    assert written.short_name == "paged_update_cache"
    assert case.emulator.program.written == {0: written}
    (dearest, *_) = costs(case.emulator, chip("wormhole"), case.arguments)
    assert dearest.op == written, "float32 goes through registers of 16 bits"


@pytest.mark.tt(mesh="1x2")
def test_donated_arguments_are_gone(tt_mesh: Any) -> None:
    case = Recorded("tensor_parallel", tt_mesh, donate_argnums=0)
    assert case.lowered.donated == (0,)
    case.emulator(*case.arguments)
    assert [argument.is_deleted() for argument in case.arguments] == [True, False, False]


@pytest.mark.tt(mesh="1x2")
def test_chips_that_hold_different_values_are_an_error(tt_mesh: Any) -> None:
    """Along axis 0 there is one chip: nothing is summed."""
    case = Recorded("tensor_parallel", tt_mesh, edit=lambda text: text.replace("cluster_axis = 1", "cluster_axis = 0"))
    with pytest.raises(
        ChipsDisagreeError, match=r"ttnn.all_reduce at .*chips hold different values of result, which is"
    ):
        case.emulator(*case.arguments)
    found = case.first_difference()
    assert (found.op.name, found.equation.primitive) == ("ttnn.all_reduce", "dot_general")
    assert found.op.location.frame.line == line_of(TENSOR_PARALLEL)


@pytest.mark.tt(mesh="1x2")
def test_another_reduction_is_named(tt_mesh: Any) -> None:
    case = Recorded("tensor_parallel", tt_mesh, edit=lambda text: text.replace("reduce_type<sum>", "reduce_type<max>"))
    case.emulator(*case.arguments)  # all chips have the same, and it is wrong
    found = case.first_difference()
    assert found.op.name == "ttnn.all_reduce"
    assert found.error > 0.1
    assert f"programs.py:{line_of(TENSOR_PARALLEL)} is the first whose value differs" in str(found)
    assert [op.name for op in found.between] == ["ttnn.matmul"]  # what is summed is no equation's value
    assert "; it is computed from ttnn.matmul at " in found.doubts


@pytest.mark.tt(mesh="1x2")
def test_an_op_that_is_left_out_is_named(tt_mesh: Any) -> None:
    def without_tanh(text: str) -> str:
        lines = [
            line for line in text.splitlines() if '"ttnn.tanh"' not in line and '"ttnn.deallocate"(%2)' not in line
        ]
        return "\n".join(lines).replace("%3", "%2")

    found = Recorded("tensor_parallel", tt_mesh, edit=without_tanh).first_difference()
    assert found.op.location.frame.line == line_of(TENSOR_PARALLEL)
    assert [equation.primitive for equation in found.missing] == ["tanh"]
    assert "no op before it gives tanh at" in str(found)


@pytest.mark.tt(mesh="1x2")
def test_what_a_result_is_split_into_must_be_known(tt_mesh: Any) -> None:
    case = Recorded("tensor_parallel", tt_mesh)
    card = program("tensor_parallel", "n300", "1x2")
    with pytest.raises(EmulationError, match="how result is split among the chips is not known; give out_shardings"):
        Emulator.of(card, case.lowered, tt_mesh)
    halves = Split((1, 2), ((0, 0), (0, 1)))
    with pytest.raises(EmulationError, match=r"result of \(32, 64\) is \(32, 32\) on each chip, the program says"):
        Emulator.of(replace(card, outputs=(halves,)), case.lowered, tt_mesh)


@pytest.mark.tt(mesh="1x1")
def test_a_mesh_of_another_size_is_an_error(tt_mesh: Any) -> None:
    lowered = lower(jax.jit(lambda x: x), [jax.ShapeDtypeStruct((32, 64), np.float32)], name="f")
    with pytest.raises(EmulationError, match="it is for 1x2 chips, the mesh has 1"):
        Emulator.of(replace(program("tensor_parallel", "n300", "1x2"), outputs=(Split(),)), lowered, tt_mesh)


@pytest.mark.tt(mesh="1x2")
def test_the_dearest_ops_of_the_chip(tt_mesh: Any) -> None:
    case = Recorded("tensor_parallel", tt_mesh)
    found = costs(case.emulator, chip("wormhole"), case.arguments, count=3)
    assert len(found) == 3
    assert {"ttnn.matmul", "ttnn.tanh"} & {cost.op.name for cost in found}
    assert found[0].growth >= found[1].growth >= found[2].growth
    assert 0 < found[0].growth <= found[0].error < 1e-2
