"""benchmarks/compiled.py: the table of the zoo's programs and of public ones beside them; the compiler is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import compiled
from benchmarks.compiled import HEADER, Compiled, in_order, of_peer, of_row
from benchmarks.peers import PEERS, Peer
from pytest_tt.tt_compiler.errors import TTCompileError
from zoo import registry
from zoo.cli.compiled_row import Row

if TYPE_CHECKING:
    from pathlib import Path

ROW = Row(
    model="gpt2", variant="gpt2", program="decode", rows=8, length=256, compiles=True,
    ops={"matmul": 24, "reshape": 12}, layers=12, ops_per_layer=3.0, moves={"reshapes": 12}, dram_peak_bytes=2**30,
    roofline_s=0.0123,
)  # fmt: skip


def test_cells() -> None:
    cells = of_row(ROW).cells
    assert cells == ("gpt2, decode", "the zoo", "36", "3.0", "1.0", "1.0 GiB", "12.3 ms", "")
    refused = Compiled("a model", "flax", problem="refused: stablehlo.fft").cells
    assert refused == ("a model", "flax", "-", "-", "-", "-", "-", "refused: stablehlo.fft")
    assert len(cells) == len(refused) == len(HEADER)


def test_a_public_model_is_below_ours() -> None:
    peers = [Peer(name, "flax", beside, lambda _: None) for name, beside in (("b", "gpt2:gpt2 decode"), ("c", "other"))]
    found = in_order([ROW], [(peer, Compiled(peer.name, peer.source)) for peer in peers])
    assert [program.name for program in found] == ["gpt2, decode", "b"]


def test_what_cannot_be_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise TTCompileError("no lowering", op="stablehlo.fft")

    resnet = next(peer for peer in PEERS if peer.source == "bonsai")
    assert of_peer(resnet, tmp_path).problem == f"not there: {tmp_path / 'bonsai'} is not there"
    monkeypatch.setattr(compiled, "lower", refuses)
    peer = Peer("a model", "flax", "gpt2:gpt2 decode", lambda _: (None, (), (), 12))
    assert of_peer(peer, tmp_path).problem == "refused: stablehlo.fft"


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.source}: {peer.name}")
def test_beside_what_there_is(peer: Peer) -> None:
    variant, _, program = peer.beside.partition(" ")
    model = registry.model(variant.partition(":")[0])
    assert variant.partition(":")[2] in model.variants
    assert program == "forward" or model.decoder is not None
