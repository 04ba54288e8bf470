"""Flattening of outputs and weights into named numpy arrays."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pytest_tt.compare.dtypes import kind_of

BARE = "output"
"""Name of the only leaf when the tree is a bare array."""


def flatten(tree: object) -> dict[str, np.ndarray[Any, Any]]:
    """Leaves of a tree as host arrays, named by their path: `{"layers/0/kernel": array}`.

    Takes nested mappings, lists, tuples, namedtuples, dataclasses and, once jax is imported, every
    registered pytree (flax modules and states; boxed parameters lose their box, so that boxed and
    unboxed weights have the same names). None is an empty tree. A bare array is named "output".
    Arrays spread over chips are gathered. Raises ValueError for two leaves of one name and TypeError
    for a leaf that is not an array of numbers.
    """
    leaves: dict[str, np.ndarray[Any, Any]] = {}
    for path, leaf in _walk(tree, ()):
        name = "/".join(path) or BARE
        if name in leaves:
            raise ValueError(f"two leaves are both named {name!r}: rename one, or a key that holds a '/'")
        leaves[name] = _to_host(leaf, name)
    return leaves


def _walk(node: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    children = _children(node)
    if children is None:
        yield path, node
        return
    for key, child in children:
        yield from _walk(child, path if key is None else (*path, key))


def _children(node: object) -> list[tuple[str | None, object]] | None:
    """Named children of a node; None for a leaf. The name None adds nothing to the path."""
    if node is None:
        return []
    if isinstance(node, Mapping):
        return [(str(key), value) for key, value in node.items()]
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return [(str(name), getattr(node, name)) for name in node._fields]
    if isinstance(node, list | tuple):
        return [(str(index), value) for index, value in enumerate(node)]
    if isinstance(node, np.ndarray | np.generic | bool | int | float | complex | str | bytes):
        return None
    registered = _registered_children(node)
    if registered is not None:
        return registered
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return [(field.name, getattr(node, field.name)) for field in dataclasses.fields(node)]
    return None


def _registered_children(node: object) -> list[tuple[str | None, object]] | None:
    """One level of a pytree registered with jax; None if jax does not know the type."""
    jax = sys.modules.get("jax")
    if jax is None:
        return None
    pairs, _ = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda leaf: leaf is not node)
    if len(pairs) == 1 and pairs[0][1] is node:
        return None
    children = [(_key_text(path), child) for path, child in pairs]
    if len(children) == 1 and children[0][0] == "value" and hasattr(node, "replace"):
        return [(None, children[0][1])]  # a flax box around one parameter
    return [(key, child) for key, child in children if not key.startswith("_pytree__")]


def _key_text(path: tuple[Any, ...]) -> str:
    parts = []
    for entry in path:
        for attribute in ("key", "name", "idx"):
            if hasattr(entry, attribute):
                parts.append(str(getattr(entry, attribute)))
                break
        else:
            parts.append(str(entry))
    return "/".join(parts)


def _to_host(leaf: object, name: str) -> np.ndarray[Any, Any]:
    wait = getattr(leaf, "block_until_ready", None)
    if callable(wait):
        try:
            wait()  # numpy would wait forever for a result that ran out of memory
        except RuntimeError as error:
            raise ValueError(f"leaf {name!r} could not be computed: {error}") from error
    detach = getattr(leaf, "detach", None)  # a torch tensor that requires grad refuses numpy
    try:
        array = np.asarray(detach().cpu() if callable(detach) else leaf)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"leaf {name!r} ({type(leaf).__name__}) is not an array of numbers: {error}") from error
    if kind_of(array.dtype) is None:
        raise TypeError(
            f"leaf {name!r} ({type(leaf).__name__}) is not an array of numbers: numpy makes it {array.dtype}"
        )
    return array
