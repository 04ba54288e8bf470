"""Placement of the arguments of a compiled program: the mesh axes that the dimensions of each are sharded over."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import NamedSharding

from pytest_tt.results.arrays import Array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Axes = dict[str, int] | None

# Equal layers make one line, so that a row stays short.
_NUMBER = re.compile(r"\d+")


def describe_arguments(arguments: Mapping[str, Any]) -> list[tuple[Axes, Array]]:
    """Each kind of array in `arguments` (name -> tree of arrays on chips), with its mesh's axes (name -> size).

    Arrays that differ only in the numbers of their names are one kind, with ``*`` for the numbers. The axes are None
    for shardings without mesh axes.
    """
    found = [_describe(name, leaf) for name, leaf in _leaves(arguments)]
    alike = [(repr(axes), replace(array, name=_NUMBER.sub("*", array.name))) for axes, array in found]
    counts = Counter(alike)
    kinds: dict[tuple[str, Array], tuple[Axes, Array]] = {}
    for kind, (axes, array) in zip(alike, found, strict=True):
        count = counts[kind]
        kinds[kind] = (axes, array if count == 1 else replace(kind[1], count=count))
    return list(kinds.values())


def _leaves(arguments: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, tree in arguments.items():
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            yield "/".join([name, *map(_key, path)]), leaf


def _key(entry: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def _describe(name: str, leaf: Any) -> tuple[Axes, Array]:
    whole = Array(name, 1, leaf.dtype.name, tuple(leaf.shape), None)
    if not isinstance(leaf.sharding, NamedSharding):
        return None, whole
    entries = [*leaf.sharding.spec, *[None] * (len(leaf.shape) - len(leaf.sharding.spec))]
    spec = tuple(() if entry is None else entry if isinstance(entry, tuple) else (entry,) for entry in entries)
    if not all(isinstance(axis, str) for entry in spec for axis in entry):
        return None, whole
    axes = {str(axis): int(size) for axis, size in leaf.sharding.mesh.shape.items()}
    return axes, replace(whole, spec=spec)
