"""Putting parameters on the chips of a mesh, shard by shard."""

from __future__ import annotations

import math
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pytest_tt.compare import flatten
from zoo.checkpoints.tensor_files import drop_pages
from zoo.checkpoints.weights import nested
from zoo.parts.sharding import tree_by_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import jax
    from jax.sharding import AbstractMesh, Mesh, NamedSharding

    from zoo.checkpoints.hub import Source
    from zoo.registry import Model, Prepare

_PIECE = 1 << 24
"""Bytes copied at a time."""


def load_params(model: Model, variant: str, mesh: Mesh, source: Path | Source | None = None) -> dict[str, Any]:
    """Parameters of a published or local checkpoint (default: the variant's own source), on the chips of `mesh`.

    CheckpointError as of `load_checkpoint`, or if the checkpoint has a config.json that is not of the variant;
    ValueError where the variant or its source is unknown.
    """
    from zoo.checkpoints.config_check import check_config
    from zoo.checkpoints.hub import Source, fetch
    from zoo.checkpoints.loading import load_checkpoint

    config, keys = model.config(variant), model.key_map(variant)
    if source is None:
        source = model.sources.get(variant)
    if source is None:
        raise ValueError(f"{model.name} {variant} has no published weights: name a directory with a checkpoint")
    directory = fetch(source) if isinstance(source, Source) else source
    check_config(model, variant, directory)
    return load_checkpoint(directory, config, keys, model.architecture.shapes(config), placer(model, config, mesh))


def place_params(model: Model, config: Any, mesh: Mesh, params: Any) -> dict[str, Any]:
    """Parameters on the host, as the module of `config` names them, prepared for `mesh` and put on its chips."""
    place = placer(model, config, mesh)
    return nested({path: place(path, leaf, leaf.dtype) for path, leaf in flatten(params).items()})


def prepared(prepare: Prepare, params: Any) -> dict[str, Any]:
    """Parameters on the host, each made what `prepare` makes of it; for a mesh without chips, or a look at them."""
    return nested({path: prepare(path, leaf) for path, leaf in flatten(params).items()})


def placer(model: Model, config: Any, mesh: Mesh) -> Callable[[str, np.ndarray, np.dtype[Any]], jax.Array]:
    """The `place` of `load_checkpoint` that prepares a parameter of `config` for `mesh` and puts it on its chips.

    It raises ValueError for a parameter without a spec.
    """
    from jax.sharding import NamedSharding

    sharding = model.sharding
    prepare = sharding.prepare(config, mesh)
    spec_of = sharding.param_spec_of(sharding.fit(config, mesh), mesh)

    def place(path: str, values: np.ndarray, dtype: np.dtype[Any]) -> jax.Array:
        return put(prepare(path, values), NamedSharding(mesh, spec_of(path)), dtype)

    return place


def bytes_per_chip(model: Model, config: Any, mesh: Mesh | AbstractMesh, shapes: Any = None) -> int:
    """Bytes of the parameters on each chip of `mesh`, before anything is loaded; padding and copies count.

    `shapes`: those of the parameters of the fitted config, where they are known already.
    """
    from jax.sharding import NamedSharding

    shape_only = cast("Mesh", mesh)  # no model's specs use what a mesh without chips lacks
    fitted = model.sharding.fit(config, shape_only)
    spec_of = model.sharding.param_spec_of(fitted, shape_only)
    total = 0
    for path, leaf in tree_by_path(model.architecture.shapes(fitted) if shapes is None else shapes).items():
        held: tuple[int, ...] = NamedSharding(mesh, spec_of(path)).shard_shape(leaf.shape)
        total += math.prod(held) * int(leaf.dtype.itemsize)
    return total


def put(values: np.ndarray, sharding: NamedSharding, dtype: np.dtype[Any]) -> jax.Array:
    """`values` as an array of `dtype` spread by `sharding`: each distinct shard is copied once, out of `values`."""
    import jax

    shards: dict[Any, np.ndarray] = {}
    arrays = []
    for device, index in sharding.addressable_devices_indices_map(values.shape).items():
        key = tuple(part.indices(length) for part, length in zip(index or (), values.shape, strict=True))
        if key not in shards:
            shards[key] = _aligned_copy(values[index], dtype)
        # Simulated chips use aligned memory in place, so those that hold the same shard share it.
        arrays.append(jax.device_put(shards[key], device))
    return jax.make_array_from_single_device_arrays(values.shape, sharding, arrays)


def _aligned_copy(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """A copy in C order whose address is a multiple of 64, as XLA wants it on the CPU.

    A copy also because a file may change or be deleted while its values are in use. Where values follow one another in
    a file, the memory of its pages is freed as they are copied: a table of a gigabyte is never in memory twice. A shard
    of zeros, such as the heads that padding adds for a chip, takes no memory: its pages are never written.
    """
    if values.nbytes >= PAGESIZE and not values[(0,) * values.ndim] and not values.any():
        # Private: reading a page of a shared mapping would make one.
        pages = mmap(-1, math.prod(values.shape) * dtype.itemsize, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        return np.ndarray(values.shape, dtype, buffer=pages)
    memory = np.empty(math.prod(values.shape) * dtype.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    copy = np.ndarray(values.shape, dtype, buffer=memory, offset=start)
    rows = max(1, _PIECE // max(1, values[:1].nbytes)) if values.ndim and values.flags.c_contiguous else 0
    with np.errstate(over="ignore"):  # float32 to float16 may give infinity
        if not rows:
            copy[...] = values
        else:
            for start in range(0, len(values), rows):
                piece = values[start : start + rows]
                copy[start : start + rows] = piece
                drop_pages(piece)
    return copy
