"""Masks: which elements of a leaf count. Padding, for example, does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_tt.compare.dtypes import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Array = np.ndarray[Any, Any]


def check_names(masks: Mapping[str, Array], leaves: Iterable[str]) -> None:
    """Raise ValueError for a mask of a leaf that does not exist: after a typo everything would be compared."""
    names = sorted(leaves)
    for name in sorted(masks):
        if name not in names:
            raise ValueError(f"mask of {name!r}: no leaf has that name: expected one of {', '.join(names)}")


def counted(
    name: str, masks: Iterable[Array], shape: tuple[int, ...], real: tuple[int, ...] | None = None
) -> Array | None:
    """Where all of `masks` are true, bool of `shape`; None without masks, or if they hide nothing.

    `real` is the shape of the result if it has one more axis than `shape`, for real and imaginary parts.

    A mask is bool, or integers 0 and 1 like an attention mask. Its axes are the leaf's first ones, each of the same
    size or 1: ``[batch, length]`` for logits ``[batch, length, vocabulary]``. ValueError for any other mask, and if
    nothing of the leaf would be left to compare.
    """
    found = np.ones(shape, bool)
    each = [_checked(name, np.asarray(mask), shape) for mask in masks]
    for mask in each:
        found &= mask
    if found.size and not found.any():
        together = all(mask.any() for mask in each)
        who = f"masks of {name!r}, stored and given, together hide" if together else f"mask of {name!r} hides"
        raise ValueError(f"{who} all {found.size} elements: nothing is left to compare")
    if found.all():
        return None
    return found if real is None else np.broadcast_to(found.reshape(shape + (1,) * (len(real) - len(shape))), real)


def pick(actual: Array, expected: Array, mask: Array | None) -> tuple[Array, Array]:
    """The elements that count, flat; without a mask both arrays unchanged."""
    return (actual, expected) if mask is None else (actual[mask], expected[mask])


def blank(array: Array, mask: Array | None) -> Array:
    """`array` with 0 for elements that do not count: they equal those of any other, and no index changes."""
    return array if mask is None else np.where(mask, array, np.zeros((), array.dtype))


def _checked(name: str, mask: Array, shape: tuple[int, ...]) -> Array:
    if kind_of(mask.dtype) not in ("bool", "integer"):
        raise ValueError(f"mask of {name!r} holds {mask.dtype.name}: expected bools, or integers 0 and 1")
    others = mask[~np.isin(mask, (0, 1))]
    if others.size:
        raise ValueError(f"mask of {name!r} holds {others[0]}: expected bools, or integers 0 and 1")
    fits = mask.ndim <= len(shape) and all(size in (1, whole) for size, whole in zip(mask.shape, shape, strict=False))
    if not fits:
        raise ValueError(
            f"mask of {name!r} has shape {mask.shape}, the leaf {shape}: expected the leaf's first axes, each of its "
            "size or 1"
        )
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)).astype(bool), shape)
