"""Weights recorded in the repository: one safetensors file per trained variant, pinned by its SHA-256."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pytest_tt.compare import flatten

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class WeightsError(ValueError):
    """A file of weights that is missing, damaged or not the pinned one."""


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts from leaves named by path, e.g. ``params/Dense_0/kernel``: the opposite of `flatten`."""
    tree: dict[str, Any] = {}
    for name, value in leaves.items():
        *folders, last = name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = value
    return tree


def encode(tree: Mapping[str, Any]) -> bytes:
    """The tree as the bytes of a safetensors file; equal trees give equal bytes."""
    return bytes(save({name: np.ascontiguousarray(leaf) for name, leaf in flatten(tree).items()}))


def distance(tree: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Relative L2 distance of two trees of the same names and shapes, over all leaves together."""
    leaves, others = flatten(tree), flatten(other)
    difference = sum(float(np.sum((leaves[name] - others[name]).astype(np.float64) ** 2)) for name in others)
    size = sum(float(np.sum(leaf.astype(np.float64) ** 2)) for leaf in others.values())
    return math.sqrt(difference / size)


def sha256(content: bytes) -> str:
    """SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_weights(path: Path, digest: str) -> dict[str, Any]:
    """The nested tree of NumPy arrays in the file `path`.

    WeightsError if it is missing, not a safetensors file, or its SHA-256 is not `digest`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; train again with --write or restore it from git") from None
    found = sha256(content)
    if found != digest:
        raise WeightsError(
            f"{path}: SHA-256 {found} is not the pinned {digest}; restore the file from git, or after training "
            "again pin the new digest and regenerate the goldens"
        )
    try:
        return nested(load(content))
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file: {error}") from None


def against_recorded(params: Mapping[str, Any], recorded: Mapping[str, Any], pinned: str) -> str:
    """How far newly trained `params` are from the `recorded` ones, whose file has the SHA-256 `pinned`, in words."""
    found = sha256(encode(params))
    if found == pinned:
        return f"SHA-256 {pinned}: byte for byte the recorded parameters"
    return f"SHA-256 {found}: relative L2 distance {distance(params, recorded):.1e} to the recorded"
