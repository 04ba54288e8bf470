"""Reads system descriptors, by the field numbers of tt-mlir's schema: ours, and those that the plugin writes."""

from __future__ import annotations

from typing import Any

CHIP_NUMBERS = {
    0: "arch", 4: "num_dram_channels", 6: "noc_l1_address_align_bytes", 7: "pcie_address_align_bytes",
    8: "noc_dram_address_align_bytes", 9: "l1_unreserved_base", 10: "erisc_l1_unreserved_base",
    11: "dram_unreserved_base", 12: "dram_unreserved_end", 15: "dst_physical_size_tiles", 16: "num_cbs",
    17: "num_compute_threads", 18: "num_datamovement_threads",
}  # fmt: skip
CHIP_LONG = {3: "l1_size", 5: "dram_channel_size"}
CHIP_PAIRS = {1: "grid_size", 2: "coord_translation_offsets", 19: "dram_grid"}
CHIP_LISTS = {14: "supported_tile_sizes", 20: "near_banks_noc0", 21: "near_banks_noc1"}


def read_descriptor(content: bytes) -> dict[str, Any]:
    """What a descriptor says: schema hash, chips, capabilities, links."""
    import flatbuffers
    from flatbuffers import number_types as types
    from flatbuffers.table import Table

    size = int.from_bytes(content[:4], "little")
    assert size == len(content) - 4
    assert content[8:12] == b"TTSY"
    buffer = bytearray(content)

    def table(position: int) -> Any:
        return Table(buffer, position + flatbuffers.encode.Get(types.UOffsetTFlags.packer_type, buffer, position))

    def field(of: Any, number: int) -> int:
        offset = of.Offset(4 + 2 * number)
        return of.Pos + offset if offset else 0

    def numbers(of: Any, slot: int, size: int, count: int, flags: Any) -> list[tuple[int, ...]]:
        if not field(of, slot):
            return []
        offset = field(of, slot) - of.Pos
        start = of.Vector(offset)
        width = size // count
        return [
            tuple(int(of.Get(flags, start + size * row + width * column)) for column in range(count))
            for row in range(of.VectorLen(offset))
        ]

    def pair(of: Any, slot: int) -> tuple[int, int]:
        position = field(of, slot)
        return (int(of.Get(types.Int32Flags, position)), int(of.Get(types.Int32Flags, position + 4)))

    root = table(4)
    system = table(field(root, 4))
    first = system.Vector(field(system, 1) - system.Pos)
    chips = []
    for number in range(system.VectorLen(field(system, 1) - system.Pos)):
        chip = table(first + 4 * number)
        facts: dict[str, Any] = {}
        for slot, name in CHIP_NUMBERS.items():
            facts[name] = int(chip.Get(types.Uint32Flags, field(chip, slot))) if field(chip, slot) else 0
        for slot, name in CHIP_LONG.items():
            facts[name] = int(chip.Get(types.Uint64Flags, field(chip, slot)))
        facts |= {name: pair(chip, slot) for slot, name in CHIP_PAIRS.items()}
        facts |= {name: numbers(chip, slot, 8, 2, types.Int32Flags) for slot, name in CHIP_LISTS.items()}
        facts["supported_data_types"] = [one for (one,) in numbers(chip, 13, 2, 1, types.Uint16Flags)]
        chips.append(facts)
    links = numbers(system, 5, 24, 6, types.Uint32Flags)
    return {
        "schema_hash": root.String(field(root, 1)).decode(),
        "chips": chips,
        "indices": [one for (one,) in numbers(system, 2, 4, 1, types.Uint32Flags)],
        "capabilities": [one for (one,) in numbers(system, 3, 4, 1, types.Uint32Flags)],
        "links": [(link[0], link[3]) for link in links],
    }
