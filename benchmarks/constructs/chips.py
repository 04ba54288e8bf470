"""Programs over several chips: collectives by hand, and arrays that the compiler spreads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax, random
from jax.sharding import NamedSharding, PartitionSpec

from benchmarks.constructs.construct import Construct, Group, construct
from benchmarks.programs import Argument, f32, i32

if TYPE_CHECKING:
    from collections.abc import Callable

X = f32(64, 128)
BOTH = X.spread("batch", "model")
ROWS = X.spread("batch")
LOCAL = "no communication: each chip works on its own part, and the result is wrong"


def constrain(x: jax.Array, mesh: Any, *spec: Any) -> jax.Array:
    """`lax.with_sharding_constraint` by names of axes."""
    return lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec(*spec)))


def ring(axis: str, size: int) -> list[tuple[int, int]]:
    """Each chip to the next."""
    return [(chip, (chip + 1) % size) for chip in range(size)]


def by_hand(
    name: str, function: Callable[..., Any], *arguments: Argument, out: Any, meshes: tuple[str, ...] = ("1x2", "2x4"),
    **settings: Any,
) -> tuple[Construct, ...]:  # fmt: skip
    """Constructs under `jax.shard_map`, one per mesh."""
    return tuple(
        construct(f"{name}_{mesh}", function, *arguments, out=out, mesh=mesh, manual=True, **settings)
        for mesh in meshes
    )


def spread(
    name: str, function: Callable[..., Any], *arguments: Argument, out: Any = None,
    meshes: tuple[str, ...] = ("1x2", "2x4"), **settings: Any,
) -> tuple[Construct, ...]:  # fmt: skip
    """Constructs that the compiler partitions, one per mesh."""
    return tuple(construct(f"{name}_{mesh}", function, *arguments, out=out, mesh=mesh, **settings) for mesh in meshes)


COLLECTIVES = Group(
    "Collectives by hand",
    "Under `jax.shard_map`: the function sees the part of one chip. Axes are `batch` and `model`.",
    (
        *by_hand("psum", lambda x: lax.psum(x, "model"), BOTH, out=("batch",), meshes=("1x2", "1x8", "2x4")),
        *by_hand("pmean", lambda x: lax.pmean(x, "model"), BOTH, out=("batch",)),
        *by_hand("pmax", lambda x: lax.pmax(x, "model"), BOTH, out=("batch",)),
        *by_hand("all_gather", lambda x: lax.all_gather(x, "model", axis=1, tiled=True), BOTH, out=("batch",)),
        *by_hand(
            "psum_scatter",
            lambda x: lax.psum_scatter(x, "model", scatter_dimension=1, tiled=True),
            ROWS,
            out=("batch", "model"),
            meshes=("1x2", "1x8", "2x4"),
        ),
        *by_hand(
            "ppermute",
            lambda x: lax.ppermute(x, "model", ring("model", 2)),
            BOTH,
            out=("batch", "model"),
            meshes=("1x2",),
        ),
        *by_hand("all_to_all", lambda x: lax.all_to_all(x, "model", 0, 1, tiled=True), BOTH, out=(("batch", "model"),)),
        *by_hand("axis_index", lambda x: x * lax.axis_index("model"), BOTH, out=("batch", "model")),
        *by_hand("psum_of_two", lambda x, y: lax.psum((x, y), "model")[0], BOTH, BOTH, out=("batch",)),
        *by_hand("psum_over_both_axes", lambda x: lax.psum(x, ("batch", "model")), BOTH, out=(), meshes=("2x4",)),
        *by_hand("psum_axis_by_axis", lambda x: lax.psum(lax.psum(x, "model"), "batch"), BOTH, out=(), meshes=("2x4",)),
        *by_hand(
            "psum_in_groups",
            lambda x: lax.psum(x, "model", axis_index_groups=[[0, 1], [2, 3]]),
            BOTH,
            out=("batch", "model"),
            meshes=("2x4",),
        ),
        *by_hand("no_collective", lambda x: jnp.sin(x), BOTH, out=("batch", "model")),
        *by_hand(
            "gather_over_batch",
            lambda x: lax.all_gather(x, "batch", tiled=True),
            BOTH,
            out=(None, "model"),
            meshes=("2x4",),
        ),
        *by_hand("column", lambda x: lax.psum(x, "batch"), BOTH, out=(None, "model"), meshes=("8x1", "4x2")),
        *by_hand("part_of_a_box", lambda x: lax.psum(x, "model"), BOTH, out=("batch",), meshes=("1x4", "2x2")),
        construct(
            "three_axes_2x2x2",
            lambda x: lax.psum(x, "model"),
            BOTH,
            mesh="2x2x2",
            axes=("batch", "model", "expert"),
            out=("batch",),
            manual=True,
        ),
    ),
)

PARTITIONED = Group(
    "Spread arrays",
    "Arguments have shardings, and the compiler finds the collectives.",
    (
        *spread("row_parallel", lambda x, w: x @ w, BOTH, f32(128, 64).spread("model"), out=("batch",)),
        *spread(
            "mlp",
            lambda x, w, v: jax.nn.relu(x @ w) @ v,
            ROWS,
            f32(128, 256).spread(None, "model"),
            f32(256, 128).spread("model"),
            out=("batch",),
        ),
        *spread("elementwise", lambda x: -x, BOTH, out=("batch", "model")),
        *spread("softmax", lambda x: jax.nn.softmax(x, -1), BOTH, out=("batch", "model")),
        *spread("argmax", lambda x: jnp.argmax(x, -1), BOTH),
        *spread("concatenate", lambda x, y: jnp.concatenate([x, y], 1), BOTH, BOTH, out=("batch", "model")),
        *spread("iota", lambda x: x + lax.broadcasted_iota(jnp.float32, x.shape, 1), BOTH, out=("batch", "model")),
        *spread("slice", lambda x: x[:, :64] * 2, BOTH, out=("batch", "model")),
        *spread("look_up_in_spread_vocabulary", lambda t, i: jnp.take(t, i, axis=0), X.spread("model"), i32(2, 16)),
        *spread("look_up_of_spread_features", lambda t, i: jnp.take(t, i, axis=0), X.spread(None, "model"), i32(2, 16)),
        *spread("reverse", lambda x: x[:, ::-1], BOTH, out=("batch", "model"), note=LOCAL),
        *spread("cumsum", lambda x: jnp.cumsum(x, axis=1), BOTH, out=("batch", "model"), note=LOCAL),
        *spread(
            "update_along_spread_axis",
            lambda x, u, i: lax.dynamic_update_slice(x, u, (0, i[0])),
            X.spread(None, "model"),
            f32(64, 1),
            i32(1),
            out=(None, "model"),
            note="the global index is clamped to the part of one chip: the result is wrong",
        ),
        *spread(
            "update_along_other_axis",
            lambda c, u, i: lax.dynamic_update_slice(c, u, (0, 0, i[0], 0)),
            f32(1, 8, 32, 64).spread(None, "model"),
            f32(1, 8, 1, 64).spread(None, "model"),
            i32(1),
            out=(None, "model"),
        ),
        *spread("pad", lambda x: jnp.pad(x, ((0, 0), (4, 4))), BOTH, out=("batch", "model")),
        *spread("roll", lambda x: jnp.roll(x, 3, axis=1), BOTH, out=("batch", "model")),
        *spread(
            "convolution_over_batch",
            lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
            f32(8, 16, 16, 32).spread("model"),
            f32(3, 3, 32, 32),
            out=("model",),
        ),
        *spread(
            "scan_over_layers",
            lambda x, w: lax.scan(lambda c, layer: (jnp.tanh(c @ layer), None), x, w)[0],
            f32(32, 128),
            f32(4, 128, 128).spread(None, None, "model"),
        ),
        *spread("random", lambda key: random.uniform(key, (64, 128)), Argument((2,), "uint32"), out=("batch", "model")),
        *spread("uneven", lambda x, mesh: constrain(x, mesh, "model") * 2, f32(63, 130)),
        *spread("constraint", lambda x, mesh: constrain(x, mesh), BOTH, out=("model", "batch")),
        *spread("reshard_rows_to_columns", lambda x: x + 1, X.spread("model"), out=(None, "model")),
        *spread("reshard_by_transposing", lambda x: x + 1, BOTH, out=("model", "batch")),
        *spread("gspmd_elementwise", lambda x: -x, BOTH, out=("batch", "model"), meshes=("1x2",), partitioner="gspmd"),
        *spread(
            "gspmd_row_parallel",
            lambda x, w: x @ w,
            BOTH,
            f32(128, 64).spread("model"),
            out=("batch",),
            meshes=("1x2",),
            partitioner="gspmd",
        ),
    ),
)
