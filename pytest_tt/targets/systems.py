"""The Tenstorrent boxes that have a name: how many chips of which kind, how much memory, which meshes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from pytest_tt.targets.chips import BLACKHOLE, CHIPS, WORMHOLE

# DRAM that programs can use, in bytes per chip.
_DRAM_N150 = CHIPS["n150"].dram_bytes
_DRAM_N300 = CHIPS["n300"].dram_bytes
_DRAM_T3K = CHIPS["t3k"].dram_bytes
_DRAM_P150 = CHIPS["p150"].dram_bytes
_DRAM_P100 = CHIPS["p100"].dram_bytes


@dataclass(frozen=True, slots=True)
class System:
    """One kind of box, with every chip it has.

    `meshes` are the usual ones, the widest first. `runner_label` is what TT-XLA's CI calls a machine of this
    kind in ``runs-on``, None where it has none. `source` says where the facts come from.
    """

    name: str
    arch: str
    chips: int
    dram_bytes_per_chip: int
    meshes: tuple[str, ...]
    runner_label: str | None
    title: str
    source: str


_DESCRIPTORS = "tt-xla tests/cpu_compile_only/system_descs"
_MESH_GRAPHS = "tt-metal tt_metal/fabric/mesh_graph_descriptors"
_RUNNERS = "tt-xla .github/workflows/test-matrix-presets"

_ALL = (
    System("n150", WORMHOLE, 1, _DRAM_N150, ("1x1",), "n150", "Wormhole n150 card",
           f"{_DESCRIPTORS}/n150.ttsys"),
    System("n300", WORMHOLE, 2, _DRAM_N300, ("1x2", "1x1"), "n300", "Wormhole n300 card",
           f"{_DESCRIPTORS}/n300.ttsys"),
    System("t3k", WORMHOLE, 8, _DRAM_T3K, ("1x8", "2x4", "1x4", "1x2"), "n300-llmbox",
           "TT-LoudBox or TT-QuietBox (T3000), 4 x n300",
           f"{_DESCRIPTORS}/n300-llmbox.ttsys; {_MESH_GRAPHS}: t3k"),
    System("galaxy", WORMHOLE, 32, _DRAM_N150, ("4x8", "8x4", "1x32"), "galaxy-wh-6u", "Wormhole Galaxy 6U",
           f"{_MESH_GRAPHS}: single_galaxy 8x4; {_RUNNERS}; DRAM taken to be that of n150"),
    System("p100", BLACKHOLE, 1, _DRAM_P100, ("1x1",), None, "Blackhole p100 card",
           "tt-umd cluster_descriptor_types.hpp: 7 of 8 DRAM banks; DRAM per bank taken to be that of p150"),
    System("p150", BLACKHOLE, 1, _DRAM_P150, ("1x1",), "p150", "Blackhole p150 card",
           f"{_DESCRIPTORS}/p150.ttsys"),
    System("qb2", BLACKHOLE, 4, _DRAM_P150, ("1x4", "2x2"), "qb2-blackhole", "TT-QuietBox 2, 2 x p300c",
           f"{_MESH_GRAPHS}: p300_x2 2x2; {_RUNNERS}; DRAM taken to be that of p150"),
    System("lb-blackhole", BLACKHOLE, 8, _DRAM_P150, ("1x8", "2x4"), None, "Blackhole LoudBox, 8 x p150",
           f"{_MESH_GRAPHS}: p150_x8 2x4; DRAM of p150"),
    System("galaxy-bh", BLACKHOLE, 32, _DRAM_P150, ("4x8", "8x4"), None, "Blackhole Galaxy",
           f"{_MESH_GRAPHS}: single_bh_galaxy; DRAM taken to be that of p150"),
)  # fmt: skip

SYSTEMS: dict[str, System] = {system.name: system for system in _ALL}

# What other tools call these boxes: only to point at the right name.
_OTHER_NAMES = {
    "t3000": "t3k",
    "loudbox": "t3k",
    "llmbox": "t3k",
    "n300-llmbox": "t3k",
    "tg": "galaxy",
    "galaxy-wh": "galaxy",
    "galaxy-wh-6u": "galaxy",
    "p100a": "p100",
    "p150a": "p150",
    "p150b": "p150",
    "p150c": "p150",
    "bhqb": "qb2",
    "qb2-blackhole": "qb2",
    "quietbox2": "qb2",
    "p150x8": "lb-blackhole",
    "lb_blackhole": "lb-blackhole",
    "galaxy_bh": "galaxy-bh",
}


def smallest_system(chips: int) -> str | None:
    """The system with the fewest chips of those that have so many, the first of several; None without any."""
    enough = [system for system in SYSTEMS.values() if system.chips >= chips]
    return min(enough, key=lambda system: system.chips).name if enough else None


def get_system(name: str) -> System:
    """The system called `name`. Raises ValueError that names the nearest system and all of them."""
    if name in SYSTEMS:
        return SYSTEMS[name]
    folded = name.strip().lower()
    names = {known: known for known in SYSTEMS} | _OTHER_NAMES
    near = difflib.get_close_matches(folded, names, n=1, cutoff=0.5)
    hint = f" (did you mean {names[near[0]]}?)" if near else ""
    raise ValueError(f"{name!r} is not a system{hint}: expected one of {', '.join(SYSTEMS)}")
