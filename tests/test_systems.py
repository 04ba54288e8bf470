"""The table of systems."""

from __future__ import annotations

import pytest

from pytest_tt.targets.chips import CHIPS
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.targets.systems import SYSTEMS, get_system, smallest_system

GIB = 2**30


def test_names_and_chips() -> None:
    assert {name: system.chips for name, system in SYSTEMS.items()} == {
        "n150": 1,
        "n300": 2,
        "t3k": 8,
        "galaxy": 32,
        "p100": 1,
        "p150": 1,
        "qb2": 4,
        "lb-blackhole": 8,
        "galaxy-bh": 32,
    }
    wormhole = {name for name, system in SYSTEMS.items() if system.arch == "wormhole_b0"}
    assert wormhole == {"n150", "n300", "t3k", "galaxy"}
    assert {system.arch for system in SYSTEMS.values()} == {"wormhole_b0", "blackhole"}


@pytest.mark.parametrize("name", SYSTEMS)
def test_facts_hang_together(name: str) -> None:
    system = SYSTEMS[name]
    assert system.name == name
    assert get_system(name) is system
    assert system.title
    assert system.source
    meshes = [MeshShape.parse(mesh) for mesh in system.meshes]
    assert max(mesh.chips for mesh in meshes) == system.chips


@pytest.mark.parametrize(
    ("name", "gib"),
    [("n150", 11.96), ("n300", 11.96), ("t3k", 11.96), ("p150", 31.82), ("p100", 27.84), ("qb2", 31.82)],
)
def test_usable_memory_per_chip(name: str, gib: float) -> None:
    assert SYSTEMS[name].dram_bytes_per_chip / GIB == pytest.approx(gib, abs=0.005)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_has_its_chip(name: str) -> None:
    chip, system = CHIPS[name], SYSTEMS[name]
    assert chip.arch == system.arch
    assert chip.dram_bytes == system.dram_bytes_per_chip
    assert chip.dram_base < chip.dram_end <= chip.dram_bank_bytes
    assert (chip.links > 0) == (system.chips > 1)
    assert chip.source


def test_peaks() -> None:
    """64 cores at 1 GHz with 4096 FLOPs a clock, in one phase or in four."""
    assert CHIPS["n150"].matmul_flops_per_s("lofi") == pytest.approx(262e12, rel=0.01)
    assert CHIPS["n150"].matmul_flops_per_s("hifi4") == pytest.approx(65.5e12, rel=0.01)
    assert CHIPS["p150"].dram_bytes_per_s / CHIPS["p100"].dram_bytes_per_s == pytest.approx(8 / 7)


def test_runner_labels_are_those_of_the_real_machines() -> None:
    assert SYSTEMS["t3k"].runner_label == "n300-llmbox"
    assert SYSTEMS["galaxy"].runner_label == "galaxy-wh-6u"
    assert SYSTEMS["lb-blackhole"].runner_label is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("n15", "n150"), ("N300", "n300"), ("n300-llmbox", "t3k"), ("p150b", "p150"), ("galaxy-wh-6u", "galaxy")],
)
def test_unknown_name_points_at_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ValueError) as caught:
        get_system(wrong)
    text = str(caught.value)
    assert f"{wrong!r} is not a system (did you mean {right}?)" in text
    assert all(name in text for name in SYSTEMS)


def test_name_like_none_lists_all() -> None:
    with pytest.raises(ValueError) as caught:
        get_system("zzzz")
    assert "did you mean" not in str(caught.value)
    assert all(name in str(caught.value) for name in SYSTEMS)


def test_the_smallest_with_so_many_chips() -> None:
    found = [smallest_system(chips) for chips in (1, 2, 3, 4, 8, 32, 64)]
    assert found == ["n150", "n300", "qb2", "qb2", "t3k", "galaxy", None]
