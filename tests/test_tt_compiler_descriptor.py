"""System descriptors, from the project's own table of systems."""

from __future__ import annotations

import pytest
from descriptor_reading import read_descriptor

from pytest_tt.targets.chips import CHIPS
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.tt_compiler.descriptor import descriptor, neighbours

pytest.importorskip("flatbuffers", reason="the extra compiler is not installed")

HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_descriptor_says_what_the_table_says(name: str) -> None:
    system, chip = SYSTEMS[name], CHIPS[name]
    content = descriptor(system, HASH)
    assert content == descriptor(system, HASH), "the same bytes, by which programs are kept"
    found = read_descriptor(content)
    assert found["schema_hash"] == HASH
    assert found["indices"] == list(range(system.chips))
    assert len(found["chips"]) == len(found["capabilities"]) == system.chips
    for one in found["chips"]:
        assert one["arch"] == {"wormhole_b0": 0, "blackhole": 1}[system.arch]
        assert one["grid_size"] == chip.worker_grid
        assert (one["l1_size"], one["l1_unreserved_base"]) == (chip.l1_bytes, chip.l1_base)
        assert one["num_dram_channels"] == chip.dram_banks == len(one["near_banks_noc0"])
        assert one["dram_grid"] == (1, chip.dram_banks)
        assert one["dram_channel_size"] == chip.dram_bank_bytes
        assert one["noc_dram_address_align_bytes"] == chip.dram_alignment
        usable = one["num_dram_channels"] * (one["dram_unreserved_end"] - one["dram_unreserved_base"])
        assert usable == system.dram_bytes_per_chip
        assert one["supported_data_types"] == list(range(13))
        assert one["supported_tile_sizes"][-1] == (32, 32)
    assert found["links"] == [pair for pair in neighbours(system) for _ in range(chip.links)]


def test_which_chips_are_linked() -> None:
    assert neighbours(SYSTEMS["n150"]) == ()
    assert neighbours(SYSTEMS["n300"]) == ((0, 1),)
    assert neighbours(SYSTEMS["qb2"]) == ((0, 1), (0, 2), (1, 3), (2, 3))
    for name, system in SYSTEMS.items():
        reached, waiting = {0}, [0]
        while waiting:
            chip = waiting.pop()
            new = {other for pair in neighbours(system) if chip in pair for other in pair} - reached
            reached |= new
            waiting += new
        assert reached == set(range(system.chips)), name


def test_chips_behind_others() -> None:
    """On n300 cards the second chip is reached through the first; on a Galaxy each has PCI Express."""
    capabilities = {name: read_descriptor(descriptor(SYSTEMS[name], HASH))["capabilities"] for name in SYSTEMS}
    assert capabilities["n300"] == [1, 0]
    assert capabilities["t3k"] == [1, 1, 1, 1, 0, 0, 0, 0]
    assert capabilities["galaxy"] == [1] * 32
