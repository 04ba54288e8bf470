"""Along which axes of the mesh of chips an array is split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import PartitionSpec

from pytest_tt.emulator.errors import EmulationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jax.sharding import Sharding

Start = tuple[tuple[int, int], ...]
"""Of the share of one chip: where it begins in each dimension, and its size there."""

# The axes by their order in the mesh; an array's dimension can be split along both, the first of them outermost.
ORDERS: tuple[tuple[int, ...], ...] = ((0,), (1,), (0, 1), (1, 0))


def spec_of(
    sharding: Sharding, shape: tuple[int, ...], devices: Sequence[Any], grid: tuple[int, int], axes: Sequence[str]
) -> PartitionSpec:
    """`sharding` of an array of `shape`, in names of the `axes` of the grid of `devices`, given row by row.

    Raises EmulationError if it does not follow the axes.
    """
    shares = sharding.devices_indices_map(shape)
    if set(shares) != set(devices):
        raise EmulationError(
            f"an array is on {len(shares)} devices, the program is for {len(devices)} chips: expected all of its mesh",
            op=None,
        )
    starts = {
        number: tuple((part.indices(size)[0], part.indices(size)[1] - part.indices(size)[0])
                      for part, size in zip(shares[device], shape, strict=True))
        for number, device in enumerate(devices)
    }  # fmt: skip
    return spec_of_shares(starts, shape, grid, axes)


def spec_of_shares(
    shares: Mapping[int, Start], shape: tuple[int, ...], grid: tuple[int, int], axes: Sequence[str]
) -> PartitionSpec:
    """The same for the share of each chip by its number. Raises EmulationError."""
    entries: list[Any] = []
    for dimension, size in enumerate(shape):
        found = {number: share[dimension] for number, share in shares.items()}
        part = found[0][1]
        if part == size:
            entries.append(None)
            continue
        for order in ORDERS:
            if (
                all(found[number] == (position(divmod(number, grid[1]), order, grid) * part, part) for number in found)
                and part * _count(grid, order) == size
            ):
                names = tuple(axes[axis] for axis in order if grid[axis] > 1)
                entries.append(names[0] if len(names) == 1 else names)
                break
        else:
            raise EmulationError(
                f"dimension {dimension} of an array of {shape} is not split along axes of the mesh "
                f"{grid[0]}x{grid[1]}", op=None,
            )  # fmt: skip
    return PartitionSpec(*entries)


def unsplit_axes(spec: PartitionSpec, axes: Sequence[str]) -> tuple[str, ...]:
    """The axes along which the chips hold the same."""
    used = {name for entry in spec for name in ((entry,) if isinstance(entry, str) else entry or ())}
    return tuple(axis for axis in axes if axis not in used)


def on_mesh(spec: PartitionSpec, axes: Sequence[str], mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
    """What `spec` says of the axes of the grid, said of those of `mesh`, which has the same chips in the same order."""
    names = dict(zip(axes, mesh.axis_names if len(mesh.axis_names) == 2 else (None, *mesh.axis_names), strict=True))
    entries = []
    for entry in spec:
        parts = () if entry is None else (entry,) if isinstance(entry, str) else entry
        renamed = tuple(names[part] for part in parts)
        entries.append(None if not renamed else renamed[0] if len(renamed) == 1 else renamed)
    return jax.sharding.NamedSharding(mesh, PartitionSpec(*entries))


def position(place: tuple[int, int], order: tuple[int, ...], grid: tuple[int, int]) -> int:
    """Which part the chip in this row and column holds of a dimension that is split along the axes of `order`."""
    part = 0
    for axis in order:
        part = part * grid[axis] + place[axis]
    return part


def _count(grid: tuple[int, int], order: tuple[int, ...]) -> int:
    count = 1
    for axis in order:
        count *= grid[axis]
    return count
