"""What ops that move, take and write elements compute, against NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated_ops import emulated

from pytest_tt.emulator.errors import EmulationError

X = np.arange(24, dtype=np.float32).reshape(4, 6)
UNARY = "(tensor<4x6xf32>) -> tensor<%sxf32>"
INDEX = np.array([[[3, 0, 9]]], np.int32)  # of the rows of X; the last is not one of them


@pytest.mark.parametrize(
    ("name", "attributes", "shape", "expected"),
    [
        ("reshape", "shape = [2 : i32, 12 : i32]", "2x12", X.reshape(2, 12)),
        ("permute", "permutation = array<i64: 1, 0>, pad_value = 0.0 : f32", "6x4", X.T),
        ("transpose", "dim0 = -2 : si32, dim1 = 1 : si32", "6x4", X.T),
        ("pad", "padding = array<i32: 1, 0, 0, 2>, use_multicore = true, value = 5.0 : f32", "5x8",
         np.pad(X, ((1, 0), (0, 2)), constant_values=5)),
        ("pad", "padding = array<i32: -1, 0, 0, 0>, value = 0.0 : f32", "3x6", X[1:]),
        ("repeat", "repeat_dims = #ttnn.shape<2x3>", "8x18", np.tile(X, (2, 3))),
        ("repeat_interleave", "repeats = 2 : ui32, dim = -1 : si32", "4x12", np.repeat(X, 2, 1)),
        ("slice_static", "begins = [1 : i32, 0 : i32], ends = [4 : i32, 6 : i32], step = [1 : i32, 4 : i32]", "3x2",
         X[1:, ::4]),
    ],
)  # fmt: skip
def test_one_tensor(name: str, attributes: str, shape: str, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(emulated(name, attributes, UNARY % shape, jnp.asarray(X)), expected)


def test_concat_keeps_the_order() -> None:
    types = "(tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x12xf32>"
    found = emulated("concat", "dim = 1 : si32", types, jnp.asarray(X), jnp.asarray(-X))
    np.testing.assert_array_equal(found, np.concatenate([X, -X], 1))


@pytest.mark.parametrize("dim", [2, -3])
def test_an_axis_that_is_not_there_is_an_error(dim: int) -> None:
    with pytest.raises(EmulationError, match=f"ttnn.transpose.*dim0 is {dim}: expected an axis of a tensor of 2 axes"):
        emulated("transpose", f"dim0 = {dim} : si32, dim1 = 0 : si32", UNARY % "6x4", jnp.asarray(X))


def test_a_slice_beyond_the_end_is_an_error() -> None:
    attributes = "begins = [0 : i32, 0 : i32], ends = [5 : i32, 6 : i32], step = [1 : i32, 1 : i32]"
    with pytest.raises(EmulationError, match="slice 0:5 of an axis of 4"):
        emulated("slice_static", attributes, UNARY % "5x6", jnp.asarray(X))


def sliced(begin: int, step: str = "") -> jax.Array:
    """A window of 2x6, or every second row of 3."""
    bounds = [np.array([row, column], np.uint32) for row, column in ((begin % 2**32, 0), ((begin + 2) % 2**32, 6))]
    types = "(tensor<4x6xf32>, tensor<2xui32>, tensor<2xui32>) -> tensor<2x6xf32>"
    found: jax.Array = emulated("slice_dynamic", step, types, jnp.asarray(X), *map(jnp.asarray, bounds))
    return found


def test_a_slice_at_a_computed_place() -> None:
    np.testing.assert_array_equal(sliced(1), X[1:3])
    np.testing.assert_array_equal(sliced(1, "step = [2 : i32, 1 : i32]"), X[1:4:2])


@pytest.mark.parametrize("begin", [3, -1])
def test_a_computed_slice_is_not_moved_back_into_the_tensor(begin: int) -> None:
    assert np.isnan(sliced(begin)).all()


def test_gather_and_scatter_along_an_axis() -> None:
    index = np.array([[2, 0, 0], [5, 5, 1]], np.int32)
    types = "(tensor<4x6xf32>, tensor<2x3xsi32>) -> tensor<2x3xf32>"
    np.testing.assert_array_equal(
        emulated("gather", "dim = 1 : si32", types, jnp.asarray(X), jnp.asarray(index)),
        np.take_along_axis(X[:2], index, 1),
    )
    beyond = emulated("gather", "dim = 1 : si32", types, jnp.asarray(X), jnp.asarray(index + 1))
    assert np.isnan(beyond).tolist() == (index == 5).tolist()


@pytest.mark.parametrize(
    ("kind", "row"), [("invalid", [9, 7]), ("sum", [16, 8]), ("prod", [189, 14]), ("max", [9, 7]), ("min", [3, 2])]
)
def test_scatter_and_what_it_does_with_what_is_there(kind: str, row: list[int]) -> None:
    table, source = jnp.asarray([[3.0, 2.0]]), jnp.asarray([[7.0, 7.0, 9.0, 4.0]])
    if kind in ("sum", "max", "min", "prod"):
        source = jnp.asarray([[7.0, 7.0 if kind in ("prod", "max") else 6.0, 9.0 if kind != "sum" else 6.0, 4.0]])
    index = jnp.asarray([[0, 1, 0, 2]], jnp.int32)  # the last is outside: left out
    attributes = f"dim = 1 : si32, scatter_reduce_type = #ttcore.reduce_type<{kind}>"
    types = "(tensor<1x2xf32>, tensor<1x4xsi32>, tensor<1x4xf32>) -> tensor<1x2xf32>"
    np.testing.assert_array_equal(emulated("scatter", attributes, types, table, index, source), [row])


def rows(kind: str, **settings: str) -> str:
    """Attributes of rows_gather and rows_scatter."""
    given = {"column": "false", "sizes": "array<i64: 4>", "windows": "array<i64: 1>", **settings}
    last = {"gather": {"fill_out_of_bounds": "false"}, "scatter": {"reduce": "#ttcore.reduce_type<invalid>"}}[kind]
    return ", ".join(f"{name} = {value}" for name, value in sorted((last | given).items()))


def gathered(attributes: str, index: np.ndarray, shape: str, table: np.ndarray = X[None]) -> np.ndarray:
    """What rows_gather takes."""
    sizes = ["x".join(map(str, array.shape)) for array in (table, index)]
    element = {"i": "si32", "u": "ui32"}[index.dtype.kind]
    types = f"(tensor<{sizes[0]}xf32>, tensor<{sizes[1]}x{element}>) -> tensor<{shape}xf32>"
    return np.asarray(emulated("rows_gather", attributes, types, jnp.asarray(table), jnp.asarray(index)))


def test_rows_outside_are_moved_into_the_table_or_zero() -> None:
    np.testing.assert_array_equal(gathered(rows("gather"), INDEX, "1x3x6")[0], X[[3, 0, 3]])
    filled = gathered(rows("gather", fill_out_of_bounds="true"), INDEX, "1x3x6")[0]
    np.testing.assert_array_equal(filled, [X[3], X[0], 0 * X[0]])


def test_a_row_below_zero_is_the_first_and_one_beyond_two_billion_the_last() -> None:
    below = np.array([[[-5]]], np.int32)
    np.testing.assert_array_equal(gathered(rows("gather"), below, "1x1x6")[0], X[[0]])
    np.testing.assert_array_equal(gathered(rows("gather"), below.astype(np.uint32), "1x1x6")[0], X[[3]])


def test_windows_of_rows_and_columns() -> None:
    two_rows = gathered(rows("gather", windows="array<i64: 2>"), np.array([[[1, 3]]], np.int32), "1x4x6")[0]
    np.testing.assert_array_equal(two_rows, X[[1, 2, 2, 3]])
    columns = rows("gather", column="true", sizes="array<i64: 4, 6>", windows="array<i64: 1, 2>")
    at = np.array([[[0, 3], [1, 4]]], np.int32)
    np.testing.assert_array_equal(gathered(columns, at, "1x4"), [[X[0, 1], X[0, 2], X[3, 4], X[3, 5]]])
    # Two axes in the rows: [2, 2, 6], a position for each.
    axes = gathered(rows("gather", sizes="array<i64: 2, 2>", windows="array<i64: 1, 1>"), at[:, :, :1] + 1, "1x1x6")
    np.testing.assert_array_equal(axes[0], X[[3]])


def test_a_batch_of_tables_with_positions_of_its_own_or_shared() -> None:
    tables = np.stack([X, -X])
    shared = gathered(rows("gather"), np.array([[[2]]], np.int32), "2x1x6", tables)
    np.testing.assert_array_equal(shared[:, 0], [X[2], -X[2]])
    own = gathered(rows("gather"), np.array([[[2]], [[1]]], np.int32), "2x1x6", tables)
    np.testing.assert_array_equal(own[:, 0], [X[2], -X[1]])


def scattered(attributes: str, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    """X with `source` written into it by rows_scatter."""
    sizes = ["x".join(map(str, array.shape)) for array in (index, source)]
    types = f"(tensor<1x4x6xf32>, tensor<{sizes[0]}xsi32>, tensor<{sizes[1]}xf32>) -> tensor<1x4x6xf32>"
    operands = (jnp.asarray(X[None]), jnp.asarray(index), jnp.asarray(source))
    return np.asarray(emulated("rows_scatter", attributes, types, *operands))[0]


def test_rows_are_written_in_order_and_left_out_beyond_the_table() -> None:
    source = np.array([[[1], [2], [3]]], np.float32) * np.ones(6, np.float32)
    expected = X.copy()
    expected[3] = 1
    expected[0] = 2
    np.testing.assert_array_equal(scattered(rows("scatter"), INDEX, source), expected)
    twice = np.array([[[1, 1, 1]]], np.int32)
    expected = X.copy()
    expected[1] += 6
    summed = scattered(rows("scatter", reduce="#ttcore.reduce_type<sum>"), twice, source)
    np.testing.assert_array_equal(summed, expected)


def test_parts_of_rows_are_written() -> None:
    attributes = rows("scatter", column="true", sizes="array<i64: 4, 6>", windows="array<i64: 1, 2>")
    expected = X.copy()
    expected[2, 3:5] = [7, 8]  # the second window would reach beyond the row: nothing of it is written
    source = np.array([[7, 8, 9, 9]], np.float32)
    np.testing.assert_array_equal(scattered(attributes, np.array([[[2, 0], [3, 5]]], np.int32), source), expected)


def test_an_index_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(EmulationError, match=r"index tensor is \(1, 2, 1\): expected \[batches, 1, positions\]"):
        gathered(rows("gather"), np.zeros((1, 2, 1), np.int32), "1x1x6")


def test_embedding_and_its_gradient() -> None:
    index = np.array([[1, 3], [1, 4]], np.int32)  # there is no row 4
    types = "(tensor<2x2xsi32>, tensor<4x6xf32>) -> tensor<2x2x6xf32>"
    found = np.asarray(emulated("embedding", "", types, jnp.asarray(index), jnp.asarray(X)))
    np.testing.assert_array_equal(found[:, 0], X[[1, 1]])
    np.testing.assert_array_equal(found[0, 1], X[3])
    assert np.isnan(found[1, 1]).all()
    types = "(tensor<2x2xsi32>, tensor<4x6xf32>, tensor<1x1x4x6xf32>) -> tensor<1x1x4x6xf32>"
    gradient = emulated("embedding_bw", "", types, jnp.asarray(index), jnp.asarray(X), jnp.ones((1, 1, 4, 6)))
    np.testing.assert_array_equal(np.asarray(gradient)[0, 0, :, 0], [0, 2, 0, 1])


@pytest.mark.parametrize(("descending", "order"), [("false", [1, 3, 0, 2]), ("true", [2, 0, 1, 3])])
def test_sort_keeps_the_order_of_equal_elements(descending: str, order: list[int]) -> None:
    x = np.array([[2, 1, 3, 1]], np.float32)
    types = "(tensor<1x4xf32>) -> (tensor<1x4xf32>, tensor<1x4xui16>)"
    attributes = f"descending = {descending}, dim = -1 : si8, stable = true"
    values, places = emulated("sort", attributes, types, jnp.asarray(x))
    np.testing.assert_array_equal(places, [order])
    np.testing.assert_array_equal(values, x[:, order])


@pytest.mark.parametrize(("largest", "order"), [("true", [2, 0]), ("false", [1, 0])])
def test_top_k(largest: str, order: list[int]) -> None:
    types = "(tensor<1x3xf32>) -> (tensor<1x2xf32>, tensor<1x2xsi32>)"
    attributes = f"dim = 1 : si32, k = 2 : i32, largest = {largest}, sorted = true"
    values, places = emulated("topk", attributes, types, jnp.asarray([[2.0, 1.0, 3.0]]))
    np.testing.assert_array_equal(places, [order])
    np.testing.assert_array_equal(values, np.array([[2.0, 1.0, 3.0]])[:, order])


def test_the_chips_random_numbers_are_refused() -> None:
    attributes = "high = 1.0 : f32, low = 0.0 : f32, seed = 0 : ui32, size = #ttnn.shape<2x2>"
    with pytest.raises(EmulationError, match=r"ttnn.rand .*generator of its own.*; draw them on the host"):
        emulated("rand", attributes, "(!ttnn.device) -> tensor<2x2xf32>", None)
