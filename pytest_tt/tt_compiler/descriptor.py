"""System descriptors: what the compiler is told of a box, in place of the box.

A descriptor is a flatbuffer with the identifier ``TTSY``, written here from the project's own table of chips. The
order of the fields is that of tt-mlir include/ttmlir/Target/Common/types.fbs at commit 614f605f, and a build reads
none of another order: each descriptor holds the hash of the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.targets.chips import CHIPS, WORMHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.targets.chips import Chip
    from pytest_tt.targets.systems import System

_IDENTIFIER = b"TTSY"
_HOST = "x86_64-pc-linux"
_ARCH_NUMBERS = {"wormhole_b0": 0, "blackhole": 1}
# tt-mlir's formats by number, f32 … si32: every chip has them all.
_DATA_TYPES = range(13)
_TILE_SIZES = ((4, 16), (16, 16), (32, 16), (4, 32), (16, 32), (32, 32))
_HOST_MMIO = 1

# For each of the two networks on a chip: the worker cores (row, column) nearest to the DRAM banks. On a chip it depends
# on which of its cores and banks are harvested. Wormhole: decoded from tt-xla
# tests/cpu_compile_only/system_descs/n150.ttsys (August 2026); Blackhole: from what
# jax-tt-plugin 0.1.3 writes for a mocked p150.
_WORMHOLE_NEAR_BANKS = (
    ((7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)),
) * 2
_BLACKHOLE_NEAR_BANKS = (
    ((9, 0), (0, 0), (7, 0), (3, 0), (9, 6), (1, 6), (6, 6), (4, 6)),
    ((0, 0), (8, 0), (2, 0), (5, 0), (0, 6), (8, 6), (2, 6), (5, 6)),
)
# Boxes of n300 cards: the second chip of each is reached through the first (…/n300.ttsys, …/n300-llmbox.ttsys).
_HALF_REMOTE = ("n300", "t3k")


def descriptor(system: System, schema_hash: str) -> bytes:
    """The descriptor of `system` for the build whose schema has that hash (64 hexadecimal digits)."""
    import flatbuffers

    builder = flatbuffers.Builder(4096)
    texts = [builder.CreateString(text) for text in (schema_hash, "unknown", "unknown")]
    host = _host(builder)
    hosts = _offsets(builder, [host])
    chip = CHIPS[system.name]
    chips = _offsets(builder, [_chip(builder, chip) for _ in range(system.chips)])
    indices = _numbers(builder, range(system.chips))
    local = system.chips // 2 if system.name in _HALF_REMOTE else system.chips
    capabilities = _numbers(builder, [_HOST_MMIO] * local + [0] * (system.chips - local))
    coordinates = _coordinates(builder)
    links = [pair for pair in neighbours(system) for _ in range(chip.links)]
    channels = _channels(builder, links)
    builder.StartObject(6)
    for slot, offset in enumerate((hosts, chips, indices, capabilities, coordinates, channels)):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    description = builder.EndObject()
    builder.StartObject(5)
    builder.PrependStructSlot(0, _version(builder), 0)
    for slot, offset in enumerate((*texts, description), start=1):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    builder.FinishSizePrefixed(builder.EndObject(), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def neighbours(system: System) -> tuple[tuple[int, int], ...]:
    """The pairs of chips that are linked: each chip of the box's widest grid with the next in its row and column."""
    rows, columns = grid(system.chips)
    chips = range(rows * columns)
    across = [(chip, chip + 1) for chip in chips if (chip + 1) % columns]
    down = [(chip, chip + columns) for chip in chips[:-columns]]
    return tuple(sorted(across + down))


def grid(chips: int) -> tuple[int, int]:
    """How the chips of a box are arranged: the grid nearest to a square."""
    rows = next(rows for rows in range(int(chips**0.5), 0, -1) if chips % rows == 0)
    return rows, chips // rows


def _host(builder: Any) -> int:
    triple = builder.CreateString(_HOST)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, triple, 0)
    return int(builder.EndObject())


def _chip(builder: Any, chip: Chip) -> int:
    wormhole = chip.arch == WORMHOLE
    data_types = _numbers(builder, _DATA_TYPES, size=2)
    tiles = _pairs(builder, _TILE_SIZES)
    nearest = _WORMHOLE_NEAR_BANKS if wormhole else _BLACKHOLE_NEAR_BANKS
    near = [_pairs(builder, banks[: chip.dram_banks]) for banks in nearest]
    numbers = {
        4: chip.dram_banks,
        6: 16,  # noc_l1_address_align_bytes
        7: 32 if wormhole else 64,  # pcie_address_align_bytes
        8: chip.dram_alignment,
        9: chip.l1_base,
        10: 98_304 if wormhole else 87_872,  # erisc_l1_unreserved_base
        11: chip.dram_base,
        12: chip.dram_end,
        15: 16,  # dst_physical_size_tiles
        16: 64,  # num_cbs
        17: 1,  # num_compute_threads
        18: 2,  # num_datamovement_threads
    }
    builder.StartObject(22)
    # Fields with a default that they have are left out, as by the plugin: Wormhole is 0.
    builder.PrependUint32Slot(0, _ARCH_NUMBERS[chip.arch], 0)
    builder.PrependStructSlot(1, _pair(builder, *chip.worker_grid), 0)
    builder.PrependStructSlot(2, _pair(builder, *((18, 18) if wormhole else (2, 1))), 0)
    builder.PrependUint64Slot(3, chip.l1_bytes, 0)
    builder.PrependUint64Slot(5, chip.dram_bank_bytes, 0)
    for slot, number in numbers.items():
        builder.PrependUint32Slot(slot, number, 0)
    builder.PrependUOffsetTRelativeSlot(13, data_types, 0)
    builder.PrependUOffsetTRelativeSlot(14, tiles, 0)
    builder.PrependStructSlot(19, _pair(builder, 1, chip.dram_banks), 0)
    for slot, offset in enumerate(near, start=20):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return int(builder.EndObject())


def _pair(builder: Any, y: int, x: int) -> int:
    builder.Prep(4, 8)
    builder.PrependInt32(x)
    builder.PrependInt32(y)
    return int(builder.Offset())


def _version(builder: Any) -> int:
    builder.Prep(4, 8)
    builder.PrependUint32(0)
    builder.PrependUint16(0)
    builder.PrependUint16(0)
    return int(builder.Offset())


def _pairs(builder: Any, pairs: Sequence[tuple[int, int]]) -> int:
    builder.StartVector(8, len(pairs), 4)
    for y, x in reversed(pairs):
        _pair(builder, y, x)
    return int(builder.EndVector())


def _numbers(builder: Any, numbers: Sequence[int], size: int = 4) -> int:
    builder.StartVector(size, len(numbers), size)
    for number in reversed(numbers):
        (builder.PrependUint16 if size == 2 else builder.PrependUint32)(number)
    return int(builder.EndVector())


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _coordinates(builder: Any) -> int:
    """Rack, shelf, row and column: the plugin writes that of the first chip, zeros, for all."""
    builder.StartVector(16, 1, 4)
    builder.Prep(4, 16)
    for _ in range(4):
        builder.PrependUint32(0)
    return int(builder.EndVector())


def _channels(builder: Any, pairs: Sequence[tuple[int, int]]) -> int:
    """Links between chips. Which Ethernet core a link has is not in our table: its number among them stands for it."""
    builder.StartVector(24, len(pairs), 4)
    for number, (first, second) in reversed(list(enumerate(pairs))):
        builder.Prep(4, 24)
        _pair(builder, 0, number)
        builder.PrependUint32(second)
        _pair(builder, 0, number)
        builder.PrependUint32(first)
    return int(builder.EndVector())
