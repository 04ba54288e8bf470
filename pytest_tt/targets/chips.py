"""The chips of the systems that have a name: grid, memory, clock, bandwidth, links to their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace

WORMHOLE = "wormhole_b0"
BLACKHOLE = "blackhole"

# FLOPs (a multiply and an add are two) of a core's matrix engine in one clock at the lowest math fidelity, LoFi:
# 8x16 by 16x16. A higher fidelity runs as many phases as its digit says (tt-metal tech_reports/GEMM_FLOPS: 16, 32,
# 48 and 64 clocks for a product of two 32x32 tiles).
MATMUL_FLOPS_PER_CLOCK = 4096
FIDELITY_PHASES = {"lofi": 1, "hifi2": 2, "hifi3": 3, "hifi4": 4}


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip as programs see it. `source` says where the facts come from, and which are taken from a relative.

    `worker_grid` (rows, columns) are the cores that programs can use. In each DRAM bank, programs can use the bytes
    from `dram_base` to `dram_end`; buffers begin at multiples of `dram_alignment` bytes. `dram_bytes_per_s` is the
    peak. `links` is the number of Ethernet links to each neighbour, `link_bytes_per_s` the peak of one of them in
    one direction.
    """

    arch: str
    worker_grid: tuple[int, int]
    l1_bytes: int
    l1_base: int
    dram_banks: int
    dram_bank_bytes: int
    dram_base: int
    dram_end: int
    dram_alignment: int
    clock_hz: float
    dram_bytes_per_s: float
    links: int
    link_bytes_per_s: float
    source: str

    @property
    def dram_bytes(self) -> int:
        """DRAM that programs can use."""
        return self.dram_banks * (self.dram_end - self.dram_base)

    def matmul_flops_per_s(self, fidelity: str) -> float:
        """Peak of matrix products at a math fidelity of `FIDELITY_PHASES`, all worker cores together."""
        rows, columns = self.worker_grid
        return rows * columns * self.clock_hz * MATMUL_FLOPS_PER_CLOCK / FIDELITY_PHASES[fidelity]


# Grid, L1 and DRAM: decoded from the system descriptors that TT-XLA checks in (August 2026). Clock and DRAM
# bandwidth: tt-mlir lib/Dialect/TTNN/Transforms/TTNNCollectPerfMetrics.cpp, which says 288 GB/s for n150 and n300,
# 336 for Wormhole Galaxy, 512 for Blackhole. Alignment: tt-metal tech_reports/Blackhole. Links: tt-metal
# tech_reports/EthernetMultichip (Wormhole: 100 Gbit/s each), tt-isa-documentation (Blackhole: 400 Gbit/s each), and
# `channels` of tt-metal tt_metal/fabric/mesh_graph_descriptors.
_DESCRIPTORS = "tt-xla tests/cpu_compile_only/system_descs"
_BANDWIDTH = "tt-mlir TTNNCollectPerfMetrics.cpp"

_N150 = Chip(
    arch=WORMHOLE, worker_grid=(8, 8), l1_bytes=1_499_136, l1_base=103_840,
    dram_banks=12, dram_bank_bytes=1_073_741_824, dram_base=2_968_640, dram_end=1_073_118_784, dram_alignment=32,
    clock_hz=1.0e9, dram_bytes_per_s=288e9, links=0, link_bytes_per_s=12.5e9,
    source=f"{_DESCRIPTORS}/n150.ttsys; {_BANDWIDTH}",
)  # fmt: skip
_P150 = Chip(
    arch=BLACKHOLE, worker_grid=(10, 11), l1_bytes=1_572_864, l1_base=111_104,
    dram_banks=8, dram_bank_bytes=4_278_190_080, dram_base=5_848_704, dram_end=4_276_523_520, dram_alignment=64,
    clock_hz=1.35e9, dram_bytes_per_s=512e9, links=0, link_bytes_per_s=50e9,
    source=f"{_DESCRIPTORS}/p150.ttsys; {_BANDWIDTH}",
)  # fmt: skip

CHIPS: dict[str, Chip] = {
    "n150": _N150,
    "n300": replace(_N150, dram_end=1_073_162_048, links=2, source=f"{_DESCRIPTORS}/n300.ttsys; {_BANDWIDTH}"),
    "t3k": replace(_N150, dram_end=1_073_136_064, links=2, source=f"{_DESCRIPTORS}/n300-llmbox.ttsys; {_BANDWIDTH}"),
    "galaxy": replace(_N150, dram_bytes_per_s=336e9, links=4,
                      source=f"{_BANDWIDTH}; grid and memory taken to be those of n150"),
    # One of eight banks is harvested on p100 (tt-umd cluster_descriptor_types.hpp), and its bandwidth with it.
    "p100": replace(_P150, dram_banks=7, dram_bytes_per_s=448e9,
                    source="tt-umd cluster_descriptor_types.hpp: 7 of 8 DRAM banks; the rest taken to be that of p150"),
    "p150": _P150,
    "qb2": replace(_P150, links=2, source="p300_x2 mesh graph; the rest taken to be that of p150"),
    "lb-blackhole": replace(_P150, links=2, source="p150_x8 mesh graph; the rest is that of p150"),
    "galaxy-bh": replace(_P150, links=2, source="single_bh_galaxy mesh graph; the rest taken to be that of p150"),
}  # fmt: skip
"""The chip of each system of `pytest_tt.targets.systems.SYSTEMS`, by the system's name."""
