"""``python -m zoo compile --by-line``: which lines the ops of a program come from, and how they are shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_tt.tt_compiler.locations import Frame, Location
from pytest_tt.tt_compiler.ttnn_module import Op
from zoo.cli.source_lines import ARGUMENTS, lines_of, moves_of, text_of

if TYPE_CHECKING:
    import pytest

HERE = Path.cwd()
MODEL, SHARED = HERE / "zoo/gpt2", HERE / "zoo/text/embedding.py"
FLAX = Frame("/lib/site-packages/flax/linen/linear.py", 80)


def op(name: str, jax_name: str, *frames: Frame) -> Op:
    return Op(f"ttnn.{name}", (), (), "", (), (), Location(jax_name, frames))


def program(*ops: tuple[Op, float], unknown: tuple[Op, ...] = ()) -> Any:
    """A compiled program of ops, each with the seconds that it takes at best; the size of some is not known."""
    bounds = [
        SimpleNamespace(op=one, times=1, seconds=seconds, dram_bytes=None if one in unknown else 1)
        for one, seconds in ops
    ]
    return SimpleNamespace(device_ops=tuple(one for one, _ in ops), bounds=tuple(bounds))


DENSE = (FLAX, Frame(str(MODEL / "model.py"), 10), Frame(str(HERE / "zoo/programs.py"), 5))
GIVEN = op("to_layout", "cache[0][1]")
PROGRAM = program(
    (op("linear", "jit(f)/Dense_0/dot_general", *DENSE), 0.5),
    (op("reshape", "jit(f)/Dense_0/dot_general", *DENSE), 0.25),
    (op("reshape", "jit(f)/Dense_0/reshape", *DENSE), 0.25),
    (op("gather", "jit(f)/gather", Frame(str(SHARED), 3), Frame(str(MODEL / "model.py"), 7)), 1e-9),
    (op("typecast", "jit(f)/gather", Frame(str(SHARED), 3), Frame(str(MODEL / "model.py"), 8)), 0.0),
    (GIVEN, 0.25),
    (op("to_layout", "cache[1][1]"), 0.25),
)


def test_lines() -> None:
    dense, given, typecast, gather = lines_of(PROGRAM, MODEL)
    assert (dense.line, dense.called_at) == ("zoo/gpt2/model.py:10", None)
    assert (dense.ops, dense.moves, dense.seconds) == ({"reshape": 2, "linear": 1}, {"reshapes": 2}, 1.0)
    assert dense.made_for == {"reshape": ("dot_general", "reshape"), "linear": ("dot_general",)}
    assert (given.line, given.ops, given.made_for) == (None, {"to_layout": 2}, {"to_layout": ("cache[*][*]",)})
    assert (typecast.line, typecast.called_at) == ("zoo/text/embedding.py:3", "zoo/gpt2/model.py:8")
    assert (gather.line, gather.called_at, gather.moves) == ("zoo/text/embedding.py:3", "zoo/gpt2/model.py:7", {})


def test_an_unknown_size_is_not_a_time() -> None:
    lines = lines_of(program((GIVEN, 1.0), (op("add", "add", *DENSE), 1.0), unknown=(GIVEN,)), MODEL)
    assert [line.seconds for line in lines] == [None, 1.0]


def test_a_file_elsewhere_has_its_whole_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert lines_of(PROGRAM, MODEL)[0].line == f"{MODEL}/model.py:10"


def test_moves() -> None:
    counts = {"reshape": 3, "permute": 1, "transpose": 1, "matmul": 4, "typecast": 2, "to_memory_config": 1}
    assert moves_of(counts) == {"reshapes": 3, "permutes": 2, "layout moves": 1, "typecasts": 2}


def test_text() -> None:
    ops = {"linear": 1, "gather": 1, "reshape": 2, "typecast": 1, "to_layout": 2}
    told = text_of("gpt2 tiny forward", lines_of(PROGRAM, MODEL), 2, ops, 1.5).splitlines()
    assert told == [
        "gpt2 tiny forward: 7 device ops, 3.5 a layer of 2",
        "moves: 2 reshapes, 2 layout moves, 1 typecasts; at best 1.5 s",
        "",
        "op         ops  a layer",
        "reshape      2      1.0",
        "to_layout    2      1.0",
        "linear       1      0.5",
        "gather       1      0.5",
        "typecast     1      0.5",
        "",
        "moves  ops  a layer  at best  line                                            ops by name, and what jax had there",  # noqa: E501
        "    2    3      1.5      1 s  zoo/gpt2/model.py:10                            2 reshape (dot_general), 1 linear (dot_general)",  # noqa: E501
        f"    2    2      1.0   500 ms  {ARGUMENTS}                    2 to_layout (cache[*][*])",
        "    1    1      0.5   < 1 µs  zoo/text/embedding.py:3 at zoo/gpt2/model.py:8  1 typecast (gather)",
        "         1      0.5   < 1 µs  zoo/text/embedding.py:3 at zoo/gpt2/model.py:7  1 gather",
    ]
    assert text_of("mlp sum forward", (), None, {"matmul": 1}, None).startswith(
        "mlp sum forward: 1 device ops\nmoves: none; at best -\n"
    )
