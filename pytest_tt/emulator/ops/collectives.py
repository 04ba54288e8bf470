"""Ops in which chips exchange tensors: along an axis of the mesh, `cluster_axis` 0 for rows, 1 for columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pytest_tt.emulator.attributes import Opaque
from pytest_tt.emulator.registry import meaning

if TYPE_CHECKING:
    from pytest_tt.emulator.step import Step

_REDUCTIONS = {"sum": jax.lax.psum, "max": jax.lax.pmax, "min": jax.lax.pmin, "mean": jax.lax.pmean}


@meaning("all_reduce", attributes="cluster_axis reduce_type")
def all_reduce(step: Step, x: Any, *_: Any) -> Any:
    reduction: Any = _REDUCTIONS[_reduction(step, _REDUCTIONS)]
    return reduction(x, _axis(step))


@meaning("all_gather", attributes="cluster_axis all_gather_dim")
def all_gather(step: Step, x: Any, *_: Any) -> Any:
    return jax.lax.all_gather(x, _axis(step), axis=_dimension(step, "all_gather_dim"), tiled=True)


@meaning("reduce_scatter", attributes="cluster_axis scatter_dim reduce_type")
def reduce_scatter(step: Step, x: Any, *_: Any) -> Any:
    _reduction(step, ("sum",))
    return jax.lax.psum_scatter(x, _axis(step), scatter_dimension=_dimension(step, "scatter_dim"), tiled=True)


@meaning("mesh_partition", attributes="cluster_axis dim")
def mesh_partition(step: Step, x: Any, *_: Any) -> Any:
    """Each chip keeps the part of `x` that its place along the axis names; all hold the same `x`."""
    dimension = _dimension(step, "dim")
    size = step.result.shape[dimension]
    return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index(_axis(step)) * size, size, dimension)


@meaning("all_to_all", attributes="cluster_axis split_dim concat_dim")
def all_to_all(step: Step, x: Any, *_: Any) -> Any:
    return jax.lax.all_to_all(x, _axis(step), _dimension(step, "split_dim"), _dimension(step, "concat_dim"), tiled=True)


@meaning("collective_permute", attributes="source_target_pairs")
def collective_permute(step: Step, x: Any, *_: Any) -> Any:
    """The chips are numbered row by row; one that nobody sends to has zeros."""
    pairs = step.attributes["source_target_pairs"]
    if isinstance(pairs, tuple):
        flat = [number for pair in pairs for number in (pair if isinstance(pair, tuple) else (pair,))]
    else:
        flat = pairs.array().reshape(-1).tolist()  # type: ignore[union-attr]
    return jax.lax.ppermute(x, step.axes, list(zip(flat[::2], flat[1::2], strict=True)))


@meaning("point_to_point", attributes="sender_coord receiver_coord")
def point_to_point(step: Step, x: Any, before: Any = None) -> Any:
    """The receiver has the sender's `x`, all others what the tensor held `before`."""
    sender, receiver = (_chip(step, f"{who}_coord") for who in ("sender", "receiver"))
    sent = jax.lax.ppermute(x, step.axes, [(sender, receiver)])
    return jnp.where(jax.lax.axis_index(step.axes) == receiver, sent, jnp.zeros_like(x) if before is None else before)


def _axis(step: Step) -> Any:
    """The axis of the mesh; both where the op names none."""
    cluster = step.attributes.get("cluster_axis")
    if cluster is None:
        return step.axes
    if not isinstance(cluster, int) or cluster not in (0, 1):
        raise step.error(f"its cluster_axis is {cluster}: expected 0 (rows) or 1 (columns)")
    return step.axes[cluster]


def _reduction(step: Step, known: Any) -> str:
    kind = step.attributes.get("reduce_type")
    name = kind.text if isinstance(kind, Opaque) else str(kind)
    if name not in known:
        raise step.error(f"its reduce_type is {name}: expected one of {', '.join(known)}")
    return name


def _dimension(step: Step, name: str) -> int:
    value = step.attributes[name]
    if not isinstance(value, int):
        raise step.error(f"its {name} is {value}: expected the number of a dimension")
    return value


def _chip(step: Step, name: str) -> int:
    """The number of a chip, row by row, by its row and column."""
    place = step.attributes[name]
    if not isinstance(place, tuple) or len(place) != 2:
        raise step.error(f"its {name} is {place}: expected a row and a column")
    row, column = place
    return int(row) * step.mesh[1] + int(column)  # type: ignore[arg-type]
