"""``zoo/compiled.json``: what is in it, and what counts as worse."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from zoo import registry
from zoo.cli.compiled_record import AGAIN, IN_BFLOAT16, PATH, PLACES, Figures, Record, differences
from zoo.cli.compiled_row import Row
from zoo.programs import names_of

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20
DECODE = "gpt2:gpt2 decode on n300 1x2"
FIGURES = Figures(
    ops=240, ops_per_layer=20.0, collectives=25, link_bytes=64.0, moved_bytes=400 * MIB, roofline_s=0.001235,
    dram_peak_bytes=300 * MIB,
)  # fmt: skip
BEFORE = Record("a compiler 1.0", "0.10", programs={DECODE: FIGURES})


def lines(**changes: object) -> tuple[list[str], list[str]]:
    """What is worse and better where the program has changed so."""
    return differences(BEFORE, replace(BEFORE, programs={DECODE: replace(FIGURES, **changes)}))  # type: ignore[arg-type]


def test_figures_of_a_row() -> None:
    row = Row(
        model="gpt2", variant="gpt2", program="decode", rows=8, length=256, compiles=True, host_ops={"concat": 1},
        ops={"matmul": 200, "reshape": 40}, layers=12, ops_per_layer=20.04, moves={"reshapes": 40},
        collectives={"all-reduce": 24, "all-gather": 1}, moved_bytes=400 * MIB, link_bytes=512, roofline_s=0.00123456,
        argument_bytes=200 * MIB, dram_peak_bytes=300 * MIB,
    )  # fmt: skip
    figures = Figures.of(row)
    assert figures == replace(FIGURES, reshapes=40, host_ops=1, peak_over_arguments=1.5)
    assert Figures.of(replace(row, program="forward", length=128)).link_bytes == 0.5, "for each token of each row"
    assert Figures.of(replace(row, program="forward", length=None)).link_bytes == 64, "for each row"
    assert Figures.of(replace(row, layers=None)).peak_over_arguments is None
    assert Figures.of(replace(row, compiles=False, ops=None)) == Figures()


def test_what_is_worse() -> None:
    again = f"; {AGAIN}"
    look = "; which lines: python -m zoo compile gpt2:gpt2 --system n300 --mesh 1x2 --by-line"
    assert lines() == ([], [])
    assert lines(ops=252, ops_per_layer=21.0) == (
        [f"{DECODE}: 240 -> 252 device ops (20.0 -> 21.0 a layer){look}{again}"], []
    )  # fmt: skip
    assert lines(host_ops=2)[0] == [f"{DECODE}: 0 -> 2 ops on the host, where none belongs{look}"]
    assert lines(collectives=26)[0] == [f"{DECODE}: 25 -> 26 collectives{again}"]
    assert lines(link_bytes=65.0)[0] == [f"{DECODE}: 64.0 -> 65.0 bytes on the links for each token or row{again}"]
    assert lines(dram_peak_bytes=303 * MIB) == ([], []), "a hundredth"
    assert lines(dram_peak_bytes=304 * MIB)[0] == [f"{DECODE}: peak DRAM of a chip 300.0 MiB -> 304.0 MiB{again}"]
    assert lines(moved_bytes=500 * MIB)[0] == [f"{DECODE}: read and written in DRAM 400.0 MiB -> 500.0 MiB{again}"]
    assert lines(ops=None)[0] == [
        f"{DECODE}: refused; `python -m zoo compile gpt2:gpt2 --system n300 --mesh 1x2` says why"
    ]


def test_what_is_better() -> None:
    record = "better; python -m zoo compile --record gpt2:gpt2"
    assert lines(ops=230, dram_peak_bytes=200 * MIB) == (
        [], [f"{DECODE}: 240 -> 230 device ops, peak DRAM of a chip 300.0 MiB -> 200.0 MiB: {record}"]
    )  # fmt: skip


def test_programs_come_and_go() -> None:
    now = replace(BEFORE, programs={"gpt2:gpt2 prefill on n300 1x2": FIGURES})
    assert differences(BEFORE, now)[0] == [
        "gpt2:gpt2 prefill on n300 1x2: not recorded; python -m zoo compile --record gpt2:gpt2",
        f"{DECODE}: recorded, and not there any more; {AGAIN}",
    ]
    other = replace(BEFORE, programs={"mlp:sum forward on n300 1x2": FIGURES})
    assert differences(replace(BEFORE, programs={**BEFORE.programs, **other.programs}), other) == ([], []), "not asked"


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "compiled.json"
    assert Record.read(path) == Record("", "")
    path.write_text(BEFORE.text(), encoding="utf-8")
    assert Record.read(path) == BEFORE
    assert BEFORE.other_than(BEFORE) == ""
    other = replace(BEFORE, compiler="a compiler 2.0", rows=4)
    assert "made by a compiler 1.0, here is a compiler 2.0; for 8 rows, here are 4" in BEFORE.other_than(other)
    added = replace(BEFORE, programs={"mlp:sum forward on n300 1x2": FIGURES})
    assert list(BEFORE.updated(added).programs) == [DECODE, "mlp:sum forward on n300 1x2"]
    again = replace(BEFORE, programs={"gpt2:gpt2 forward on n300 1x2": FIGURES})
    assert list(BEFORE.updated(again).programs) == ["gpt2:gpt2 forward on n300 1x2"]
    assert list(BEFORE.updated(replace(added, jax="0.11")).programs) == ["mlp:sum forward on n300 1x2"]


def test_the_record_of_the_zoo() -> None:
    """Every model is in it, with the meshes that it claims; no host ops."""
    record = Record.read(PATH)
    assert PATH.read_text(encoding="utf-8") == record.text()
    assert {variant.partition(":")[0] for variant in record.variants} == set(registry.names())
    for variant in record.variants:
        name, _, config = variant.partition(":")
        model = registry.model(name)
        assert config in model.variants
        places = {(system, mesh) for system, mesh in PLACES if mesh in model.sharding.meshes}
        programs = names_of(model)
        expected = {f"{variant} {program} on {system} {mesh}" for system, mesh in places for program in programs}
        if variant in IN_BFLOAT16:
            expected |= {f"{variant} {program}-bfloat16 on {' '.join(PLACES[-1])}" for program in programs}
        recorded = {name for name in record.programs if name.startswith(f"{variant} ")}
        assert recorded == expected, "python -m zoo compile --record"
    assert all(figures.ops and not figures.host_ops for figures in record.programs.values())
    assert json.loads(PATH.read_text(encoding="utf-8"))["compiler"].startswith("jax-tt-plugin ")
