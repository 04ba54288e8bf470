"""Synthetic checkpoints of any size, written at the speed of the disk: for measurements, not for goldens.

Names, shapes, dtypes and scales are those of the zoo's synthetic checkpoints, which draw each number separately. Here
each tensor repeats the numbers of one block, drawn once per range, from a start of its own. The length of the block is
a prime, so that no two rows of a matrix are equal.
"""

from __future__ import annotations

import hashlib
import math
import sys
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

BLOCK = 4_194_301
"""Numbers in a block: the largest prime below 2**22."""


def write(model_name: str, variant: str, directory: Path, *, shards: int = 1) -> int:
    """Write a checkpoint of a model of the zoo with its config.json; bytes of its tensors."""
    from zoo import registry
    from zoo.checkpoints.tensor_files import save_checkpoint

    model = registry.model(model_name)
    hub_config = model.checkpoint.hub_config if model.checkpoint else None
    facts = hub_config(model.config(variant)) if hub_config else None
    with _drawn_by(model, variant, blank):
        layout = dict(model.synthetic_checkpoint(variant))
    with _drawn_by(model, variant, uniform):
        tensors = model.synthetic_checkpoint(variant)
        save_checkpoint(directory, tensors, shards=shards, config=facts, layout=layout)
    return sum(tensor.nbytes for tensor in layout.values())


def size_of(model_name: str, variant: str) -> int:
    """Bytes of the tensors that `write` would write."""
    from zoo import registry

    model = registry.model(model_name)
    with _drawn_by(model, variant, blank):
        return sum(tensor.nbytes for _, tensor in model.synthetic_checkpoint(variant))


def uniform(
    name: str, shape: Sequence[int], *, low: float = -1.0, high: float = 1.0, seed: int = 0, dtype: str = "float32"
) -> np.ndarray:
    """As `zoo.checkpoints.synthetic.uniform`, of numbers that repeat after `BLOCK`."""
    block = _block(low, high, dtype)
    flat = np.empty(math.prod(shape), block.dtype)
    begin = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little") % BLOCK
    at = 0
    while at < len(flat):
        part = block[begin : begin + len(flat) - at]
        flat[at : at + len(part)] = part
        at, begin = at + len(part), 0
    return flat.reshape(tuple(shape))


def blank(name: str, shape: Sequence[int], *, dtype: str = "float32", **_: object) -> np.ndarray:
    """Zeros that need no memory."""
    return np.broadcast_to(np.zeros((), _numpy(dtype)), tuple(shape))


@lru_cache(maxsize=32)
def _block(low: float, high: float, dtype: str) -> np.ndarray:
    return (low + (high - low) * _unit()).astype(_numpy(dtype))


@lru_cache(maxsize=1)
def _unit() -> np.ndarray:
    """Uniform in [0, 1), float32 [BLOCK]."""
    from zoo.checkpoints import synthetic

    return synthetic.uniform("benchmarks/quick", (BLOCK,), low=0.0)


def _numpy(dtype: str) -> np.dtype[Any]:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, dtype, dtype))


def _drawn_by(model: Any, variant: str, draw: Any) -> AbstractContextManager[object]:
    """Within it `draw` gives the numbers of the model's made-up checkpoints, in the dtype of the variant at once."""
    # Decoders share how they draw.
    modules = (sys.modules[name] for name in (model.checkpoint.synthetic.__module__, "zoo.checkpoints.decoder_tensors"))
    found = ((module, name) for module in modules for name in ("coarse_uniform", "uniform") if hasattr(module, name))
    module, name = next(found)
    return mock.patch.object(module, name, partial(draw, dtype=getattr(model.config(variant), "dtype", "float32")))
