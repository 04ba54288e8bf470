"""Cluster descriptors: what TT's driver library is told of a box whose chips it only mocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.targets.chips import WORMHOLE
from pytest_tt.tt_compiler.descriptor import grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tt.targets.systems import System

# The boards by the numbers in their serial numbers, and what is harvested on their chips: columns of cores, DRAM banks,
# Ethernet cores, PCIe (tt-umd device/api/umd/device/types/cluster_descriptor_types.hpp: how many of each; which ones
# differs from chip to chip).
_P100 = ("p100", 0x36, 0b11000000, 0b1000, 0b11111111111111)
_P150 = ("p150", 0x40, 0b11000000, 0, 0b100100000)
# A p300 is two such chips: programs see the same grid and memory. A Galaxy is not here: its links are not a grid's, and
# TT's library wants them as they are.
_BOARDS = {"p100": _P100, "p150": _P150, "qb2": _P150, "lb-blackhole": _P150}

MOCKED = tuple(_BOARDS)
"""The systems whose chips can be mocked."""

# Ethernet channels of the links of a chip in a grid, two to each neighbour.
_WEST, _EAST, _NORTH, _SOUTH = (2, 3), (4, 6), (0, 1), (7, 9)


def check_mocked(system: System) -> None:
    """Raise ValueError for a system whose chips cannot be mocked."""
    if system.name in MOCKED:
        return
    wormhole = system.arch == WORMHOLE
    why = "has Wormhole chips, for which jax-tt-plugin has no kernels" if wormhole else "cannot be mocked yet"
    raise ValueError(f"{system.name} {why}: a mock run is for one of {', '.join(MOCKED)}")


def cluster(system: System) -> str:
    """The descriptor of `system`, in the format of tt-umd (docs/yaml_schemas/cluster_descriptor.yaml).

    Its chips are a grid, each linked to its neighbours. Raises ValueError for others.
    """
    check_mocked(system)
    board, number, cores, banks, ethernet = _BOARDS[system.name]
    chips = range(system.chips)
    buses = [0x20 * chip + 1 for chip in chips]
    harvested = (
        f"{{noc_translation: true, harvest_mask: {cores}, dram_harvesting_mask: {banks}, "
        f"eth_harvesting_mask: {ethernet}, pcie_harvesting_mask: 2, l2cpu_harvesting_mask: 0}}"
    )
    lines = [
        *_section("arch", (f"{chip}: {system.arch}" for chip in chips)),
        "chips: {}",
        *_section("chip_unique_ids", (f"{chip}: {chip + 1}" for chip in chips)),
        *_section("ethernet_connections", _links(system)),
        "ethernet_connections_to_remote_devices: []",
        *_section("chips_with_mmio", (f"- {chip}: {chip}" for chip in chips)),
        "io_device_type: PCIe",
        *_section("harvesting", (f"{chip}: {harvested}" for chip in chips)),
        *_section("chip_to_bus_id", (f'{chip}: "0x{bus:02x}"' for chip, bus in zip(chips, buses, strict=True))),
        *_section("boards", (f"- [board_id: {(number << 36) + chip + 1}, board_type: {board}, chips: [{chip}]]"
                             for chip in chips)),
        *_section("asic_locations", (f"{chip}: 0" for chip in chips)),
        *_section("chip_pci_bdfs", (f'{chip}: "0000:{bus:02x}:00.0"' for chip, bus in zip(chips, buses, strict=True))),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _section(name: str, lines: Iterable[str]) -> list[str]:
    listed = [f"  {line}" for line in lines]
    return [f"{name}:", *listed] if listed else [f"{name}: []"]


def _links(system: System) -> list[str]:
    rows, columns = grid(system.chips)
    found = []
    for chip in range(system.chips):
        row, column = divmod(chip, columns)
        if column + 1 < columns:
            found += [_link(chip, own, chip + 1, other) for own, other in zip(_EAST, _WEST, strict=True)]
        if row + 1 < rows:
            found += [_link(chip, own, chip + columns, other) for own, other in zip(_SOUTH, _NORTH, strict=True)]
    return found


def _link(first: int, channel: int, second: int, other: int) -> str:
    return f"- [{{chip: {first}, chan: {channel}}}, {{chip: {second}, chan: {other}}}]"
