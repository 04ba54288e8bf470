"""Collectives along each axis of a mesh, against what they are defined to give; the chips are numbered row by row."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh
from jax.sharding import PartitionSpec as P

from pytest_tt.emulator.attributes import parse
from pytest_tt.emulator.builds import BuildMeaning
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.numerics import EXACT
from pytest_tt.emulator.registry import meanings
from pytest_tt.emulator.step import Step
from pytest_tt.tt_compiler.locations import Location
from pytest_tt.tt_compiler.ttnn_module import Op, Tensor

AXES = ("rows", "columns")
ROWS, COLUMNS = 2, 4
X = np.arange(ROWS * COLUMNS * 4 * 8, dtype=np.float32).reshape(ROWS, COLUMNS, 4, 8)
SUM, MAX = "reduce_type = #ttcore.reduce_type<sum>", "reduce_type = #ttcore.reduce_type<max>"


def run(mesh: Mesh, name: str, attributes: str, *operands: np.ndarray, shape: tuple[int, ...] = (4, 8)) -> np.ndarray:
    """What each chip has of op `name`, of operands ``[rows, columns, …]``."""
    grid = Mesh(mesh.devices.reshape(ROWS, COLUMNS), AXES, axis_types=(AxisType.Auto,) * 2)
    kind = Tensor(shape, "f32", None)
    op = Op(f"ttnn.{name}", ("%1",), (), attributes, (kind,) * len(operands), (kind,), Location("", ()))
    step = Step(op, parse(attributes), EXACT, AXES, (ROWS, COLUMNS), BuildMeaning(known=True), None)  # type: ignore[arg-type]

    def on_a_chip(*shares: Any) -> Any:
        return meanings()[op.name].function(step, *(share[0, 0] for share in shares))[None, None]

    mapped = jax.shard_map(on_a_chip, mesh=grid, in_specs=P(*AXES), out_specs=P(*AXES), check_vma=False)
    return np.asarray(jax.jit(mapped)(*operands))


@pytest.mark.tt(mesh="2x4")
def test_all_reduce(tt_mesh: Mesh) -> None:
    for axis in (0, 1):
        sums = run(tt_mesh, "all_reduce", f"cluster_axis = {axis} : ui32, {SUM}", X)
        np.testing.assert_array_equal(sums, np.broadcast_to(X.sum(axis, keepdims=True), X.shape))
    largest = run(tt_mesh, "all_reduce", f"cluster_axis = 1 : ui32, {MAX}", X)
    np.testing.assert_array_equal(largest, np.broadcast_to(X.max(1, keepdims=True), X.shape))


@pytest.mark.tt(mesh="2x4")
def test_all_gather(tt_mesh: Mesh) -> None:
    rows = run(tt_mesh, "all_gather", "cluster_axis = 0 : ui32, all_gather_dim = 0 : si32", X, shape=(8, 8))
    columns = run(tt_mesh, "all_gather", "cluster_axis = 1 : ui32, all_gather_dim = 1 : si32", X, shape=(4, 32))
    for row in range(ROWS):
        for column in range(COLUMNS):
            np.testing.assert_array_equal(rows[row, column], np.concatenate(list(X[:, column]), 0))
            np.testing.assert_array_equal(columns[row, column], np.concatenate(list(X[row]), 1))


@pytest.mark.tt(mesh="2x4")
def test_reduce_scatter_and_partition(tt_mesh: Mesh) -> None:
    attributes = f"cluster_axis = 1 : ui32, scatter_dim = 1 : si32, {SUM}"
    scattered = run(tt_mesh, "reduce_scatter", attributes, X, shape=(4, 2))
    kept = run(tt_mesh, "mesh_partition", "cluster_axis = 0 : ui32, dim = 0 : si32", X, shape=(2, 8))
    for row in range(ROWS):
        for column in range(COLUMNS):
            np.testing.assert_array_equal(scattered[row, column], X[row].sum(0)[:, 2 * column : 2 * column + 2])
            np.testing.assert_array_equal(kept[row, column], X[row, column, 2 * row : 2 * row + 2])


@pytest.mark.tt(mesh="2x4")
def test_sends_between_two_chips(tt_mesh: Mesh) -> None:
    before = -X
    sent = run(
        tt_mesh, "point_to_point", "receiver_coord = array<i64: 1, 3>, sender_coord = array<i64: 0, 2>", X, before
    )
    expected = before.copy()
    expected[1, 3] = X[0, 2]
    np.testing.assert_array_equal(sent, expected)
    pairs = "source_target_pairs = dense<[[0, 5], [5, 0]]> : tensor<2x2xsi64>"
    swapped = run(tt_mesh, "collective_permute", pairs, X)
    expected = np.zeros_like(X)
    expected[1, 1], expected[0, 0] = X[0, 0], X[1, 1]
    np.testing.assert_array_equal(swapped, expected)


@pytest.mark.tt(mesh="2x4")
@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        (f"cluster_axis = 2 : ui32, {SUM}", r"its cluster_axis is 2: expected 0 \(rows\) or 1 \(columns\)"),
        ("cluster_axis = 1 : ui32, reduce_type = #ttcore.reduce_type<var>", "its reduce_type is var: expected one of"),
    ],
)
def test_another_axis_or_reduction_is_refused(tt_mesh: Mesh, attributes: str, sentence: str) -> None:
    with pytest.raises(EmulationError, match=sentence):
        run(tt_mesh, "all_reduce", attributes, X)
