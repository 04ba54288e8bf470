"""Sums over an axis as the chip's kernels add: float32 by the vector unit, other types through the matrix unit.

Source: `ckernel_sfpu_reduce.h` and `llk_math_reduce.h` of tt-metal as ttnn 0.81.1 ships them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from pytest_tt.emulator import matrix_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.emulator.compute_config import ComputeConfig

_TILE = 32


def total(x: Any, axes: Sequence[int], element: str, config: ComputeConfig) -> Any:
    """The sum over `axes`, which stay with size 1: the last axis of the tensor by rows, others by columns."""
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        by_rows = axis == x.ndim - 1
        moved = jnp.moveaxis(x, axis, -1)
        if element == "f32":
            moved = _vector_rows(moved) if by_rows else _vector_columns(moved)
        else:
            moved = rows(moved, element, config) if by_rows else _columns(moved, element, config)
        x = jnp.moveaxis(moved, -1, axis)
    return x


def rows(x: Any, element: str, config: ComputeConfig, scale: float = 1.0) -> Any:
    """``scale`` times the sum over the last axis, which stays with size 1, through the matrix unit."""
    ones = jnp.full((x.shape[-1], 1), scale, jnp.float32)
    return matrix_unit.matmul(x, ones, (element, element), config)


def _columns(x: Any, element: str, config: ComputeConfig) -> Any:
    """As `rows`, with the tensor as the other operand."""
    ones = jnp.ones((1, x.shape[-1]), jnp.float32)
    return matrix_unit.matmul(ones, x[..., None], (element, element), config)[..., 0]


def _tiles(x: Any) -> Any:
    """The last axis added up tile by tile to 32 elements."""
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % _TILE)])
    return x.reshape(*x.shape[:-1], -1, _TILE).sum(-2)


def _chained(parts: Sequence[Any]) -> Any:
    """``a + (b + (c + d))``."""
    *before, total = parts
    for part in reversed(before):
        total = part + total
    return total


def _vector_rows(x: Any) -> Any:
    """Even and odd columns of both faces, then eight lanes by halves."""
    halves = _tiles(x).reshape(*x.shape[:-1], 2, 8, 2)
    lanes = _chained([halves[..., face, :, odd] for face in (0, 1) for odd in (0, 1)])
    for distance in (4, 2, 1):
        lanes = lanes + jnp.roll(lanes, distance, -1)
    return lanes[..., :1]


def _vector_columns(x: Any) -> Any:
    """Four groups of four rows of each face, both faces, then the four rows."""
    groups = _tiles(x).reshape(*x.shape[:-1], 2, 4, 4)
    upper, lower = (_chained([groups[..., face, at, :] for at in range(4)]) for face in (0, 1))
    both = upper + lower
    return _chained([both[..., at : at + 1] for at in range(4)])
