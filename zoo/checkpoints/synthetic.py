"""Made-up numbers that are the same everywhere: drawn by name from a counter-based generator.

Each tensor has a stream of its own, keyed by seed and name, so adding or reordering tensors changes no other. Only
the generator's raw words are used: NumPy keeps those stable between versions, unlike its distributions.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_Fill: TypeAlias = Callable[[np.ndarray, np.random.Philox, float, float], None]


_CHUNK = 1 << 15
"""Words drawn at a time, so that memory is that of the tensor, and what is between stays in a core's cache: chunks of a
million take half as long again."""

MOST_KEPT, LEAST_KEPT = 1 << 30, 1 << 20
"""Bytes of tensors that `kept` holds, and of the smallest: inputs are left alone, which PyTorch takes as they are."""

_kept: dict[tuple[object, ...], np.ndarray] | None = None
"""What was drawn within `kept`; None outside."""


def _stream(name: str, seed: int) -> np.random.Philox:
    key = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], "little")
    return np.random.Philox(key=key)


def words(name: str, count: int, *, seed: int = 0) -> np.ndarray:
    """`count` random uint64 words of the stream `name` (Philox 4x64, keyed by SHA-256 of seed and name)."""
    return np.asarray(_stream(name, seed).random_raw(count), np.uint64)


def uniform(name: str, shape: Sequence[int], *, low: float = -1.0, high: float = 1.0, seed: int = 0) -> np.ndarray:
    """Float32 array of `shape`, uniform in [`low`, `high`)."""
    return _drawn(_fill, name, tuple(shape), low, high, seed)


def coarse_uniform(
    name: str, shape: Sequence[int], *, low: float = -1.0, high: float = 1.0, seed: int = 0
) -> np.ndarray:
    """As `uniform`, but of 24 random bits each, two numbers a word: for tensors so large that drawing takes long."""
    return _drawn(_fill_coarsely, name, tuple(shape), low, high, seed)


@contextmanager
def kept() -> Iterator[None]:
    """Within, large tensors are drawn once: `uniform` and `coarse_uniform` give again what they gave, read-only.

    Of more than `MOST_KEPT` bytes, the last ones are drawn anew each time.
    """
    global _kept
    before, _kept = _kept, {}
    try:
        yield
    finally:
        _kept = before


def _drawn(fill: _Fill, name: str, shape: tuple[int, ...], low: float, high: float, seed: int) -> np.ndarray:
    key = (fill, name, shape, low, high, seed)
    if _kept is not None and key in _kept:
        return _kept[key]
    values = np.empty(math.prod(shape), np.float32)
    fill(values, _stream(name, seed), low, high)
    values = values.reshape(shape)
    if _kept is not None and LEAST_KEPT <= values.nbytes <= MOST_KEPT - sum(old.nbytes for old in _kept.values()):
        values.flags.writeable = False
        _kept[key] = values
    return values


def _fill(values: np.ndarray, stream: np.random.Philox, low: float, high: float) -> None:
    for start in range(0, len(values), _CHUNK):
        drawn = np.asarray(stream.random_raw(min(_CHUNK, len(values) - start)), np.uint64)
        unit = (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53
        values[start : start + len(drawn)] = low + (high - low) * unit


def _fill_coarsely(values: np.ndarray, stream: np.random.Philox, low: float, high: float) -> None:
    for start in range(0, len(values), 2 * _CHUNK):
        part = values[start : start + 2 * _CHUNK]
        drawn = np.asarray(stream.random_raw(-(-len(part) // 2)), "<u8").view("<u4")[: len(part)]
        part[...] = drawn >> np.uint32(8)
        part *= np.float32((high - low) * 2.0**-24)
        part += np.float32(low)


def integers(name: str, shape: Sequence[int], bound: int, *, seed: int = 0) -> np.ndarray:
    """Int64 array of `shape`, each of 0 to `bound` - 1 (`bound` far below 2**64: the modulo's bias is nil)."""
    drawn = words(name, math.prod(shape), seed=seed) % np.uint64(bound)
    return drawn.astype(np.int64).reshape(tuple(shape))


def permutation(name: str, count: int, *, seed: int = 0) -> np.ndarray:
    """The numbers 0 to `count` - 1 in a random order, int64."""
    return np.argsort(words(name, count, seed=seed), kind="stable")
