"""``python -m zoo compile``: the table, its JSON, what is refused; and the compiler itself, where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.tt_compiler import build
from pytest_tt.tt_compiler.build import CompilerMissing, find_build
from pytest_tt.tt_compiler.errors import TTCompileError
from zoo import registry
from zoo.__main__ import main
from zoo.authoring import fit_table
from zoo.cli import compiled_record, compiling
from zoo.cli.compiled_record import Record
from zoo.cli.compiled_row import Row, row_of, text_of
from zoo.cli.compiling import Sizes, chosen_by, mesh_for, options_of
from zoo.programs import ModelProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zoo.registry import Model

GPT2 = registry.model("gpt2")
GIB = 2**30

ROW = Row(
    model="gpt2",
    variant="gpt2",
    program="decode",
    rows=8,
    length=256,
    compiles=True,
    fits=True,
    host_ops={},
    ops={"matmul": 24, "add": 12},
    layers=12,
    ops_per_layer=3.0,
    moves={},
    collectives={"all-reduce": 25},
    moved_bytes=2 * GIB,
    link_bytes=4096,
    argument_bytes=GIB // 2,
    dram_peak_bytes=GIB,
    dram_bytes=12 * GIB,
    roofline_s=0.0123,
    compiler="a compiler 1.0",
)


def made(**changes: Any) -> Any:
    """What the compiler made of a program that is good, but for `changes`."""
    good: dict[str, Any] = {
        "system": "n150", "fits": True, "host_ops": {}, "ops": {"matmul": 24, "add": 12}, "unknown": (),
        "collectives": {}, "dram_peak_bytes": GIB, "dram_bytes": 12 * GIB, "roofline_s": 0.0123, "upstream": (),
        "compiler": "a compiler 1.0", "device_ops": (), "bounds": (),
        "moved_bytes": 2 * GIB, "link_bytes": 4096, "argument_bytes": GIB // 2,
    }  # fmt: skip
    return SimpleNamespace(**good | changes)


def test_row_of_what_was_made() -> None:
    program = ModelProgram("decode", None, (), 8, 256, {})
    row = row_of(GPT2, "gpt2", program, made())
    assert row == replace(ROW, collectives={})
    assert row_of(GPT2, "gpt2", program, made(), by_line=True) == replace(row, lines=())
    row = row_of(GPT2, "gpt2", program, made(fits=False, dram_peak_bytes=13 * GIB, host_ops={"concat": 1}))
    assert row.problems == ("on the host: 1 concat", "needs 13.0 GiB a chip, n150 has 12.0 GiB")
    row = row_of(GPT2, "gpt2", program, TTCompileError("no lowering", op="stablehlo.fft", hint="no fft"))
    assert (row.compiles, row.fits, row.ops) == (False, None, None)
    assert row.problems == ("TT's compiler: stablehlo.fft: no lowering instead: no fft",)
    assert row_of(registry.model("mlp"), "sum", program, made()).ops_per_layer is None
    assert row_of(registry.model("resnet"), "resnet-50", program, made()).ops_per_layer == 36 / 16


def test_table() -> None:
    refused = Row(model="gpt2", variant="tiny", program="forward", rows=8, length=48, compiles=False, problems=("no",))
    large = replace(ROW, fits=False, roofline_s=1e-9, collectives={}, problems=("needs more",))
    assert text_of([ROW, refused, large]).splitlines() == [
        "model  variant  program  compiles  fits  host ops  ops  a layer  collectives    peak DRAM  at best",
        "gpt2   gpt2     decode   yes       yes          0   36        3  25 all-reduce    1.0 GiB  12.3 ms",
        "gpt2   tiny     forward  no        -            -    -        -  -                      -        -",
        "gpt2   gpt2     decode   yes       no           0   36        3  none             1.0 GiB   < 1 µs",
        "tiny forward: no",
        "gpt2 decode: needs more",
    ]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the compiler would be asked: each program is good, as large as the variant's name is long."""
    asked: list[tuple[str, ...]] = []

    def rows_of(chosen: list[tuple[Model, str]], system: str, mesh: str, sizes: Sizes) -> Iterator[Row]:
        for model, variant in chosen:
            asked.append((model.name, variant, system, mesh, str(sizes.rows), *sizes.options))
            yield replace(
                ROW, parameters=sizes.parameters, model=model.name, variant=variant, dram_peak_bytes=len(variant) * GIB
            )

    monkeypatch.setattr(compiling, "rows_of", rows_of)
    monkeypatch.setattr(build, "find_build", lambda: None)
    return asked


def test_command(asked: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rows", "1", "--option", "math_fidelity=hifi2"]
    assert main(["compile", "gpt2:tiny", "mlp", "--system", "t3k", *options]) == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 9
    assert "\nby a compiler 1.0, for t3k, mesh 1x8; rows: 1, of 128 tokens" in told
    assert asked == [
        (model, variant, "t3k", "1x8", "1", "math_fidelity")
        for model, variant in (("gpt2", "tiny"), ("mlp", "dense"), ("mlp", "megatron"), ("mlp", "sum"))
    ]
    assert main(["compile", "--system", "n300", "--mesh", "1x1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["model"] for row in rows} >= set(registry.names())
    assert Row(**rows[0] | {"problems": ()}) == replace(
        ROW, model=rows[0]["model"], variant=rows[0]["variant"], dram_peak_bytes=len(rows[0]["variant"]) * GIB
    )


def test_a_problem_is_told_by_the_exit_code(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiling, "rows_of", lambda *_: iter([replace(ROW, fits=False, problems=("too large",))]))
    assert main(["compile", "gpt2", "--system", "n150"]) == 1
    assert "gpt2 decode: too large" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gpt3"], "no such model: gpt3; expected one of bert, clip, cnn"),
        (["gpt2:gpt3"], "gpt2 has no variant 'gpt3'; expected one of tiny, gpt2"),
        (["gpt2", "--mesh", "1x16"], "mesh 1x16 has 16 chips, n300 has 2"),
        (["gpt2", "--mesh", "2x1"], "gpt2 is not for mesh 2x1; expected one of 1x1, 1x2"),
        (["gpt2", "--rows", "0"], "--rows 0, --length 128: expected 1 or more of both"),
        (["gpt2", "--option", "math_fidelty=hifi2"], "did you mean math_fidelity?"),
    ],
)
def test_refused(asked: list[tuple[str, ...]], words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compile", *words, "--system", "n300"])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("python -m zoo compile: ")
    assert told in lines[0]
    assert asked == []


def test_without_the_compiler(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise CompilerMissing("TT's compiler is not installed: pip install it")

    monkeypatch.setattr(build, "find_build", missing)
    with pytest.raises(SystemExit) as ended:
        main(["compile", "--system", "n300"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "python -m zoo compile: TT's compiler is not installed: pip install it\n"


def test_tables_of_readmes(
    asked: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = replace(GPT2, folder=tmp_path)
    readme = fit_table.path_of(model)
    readme.write_text("Before\n\n<!-- fit: -->\n<!-- end of fit -->\n", encoding="utf-8")
    monkeypatch.setattr(registry, "model", lambda name: model)
    for told in ("gpt2: changed\n", "gpt2: unchanged\n"):
        assert main(["compile", "gpt2", "--readme"]) == 0
        assert capsys.readouterr().out == told
    assert "| `gpt2-medium` | 11.0 GiB | 11.0 GiB |" in readme.read_text(encoding="utf-8")
    assert "| `gpt2` | 4.0 GiB | 4.0 GiB |" in readme.read_text(encoding="utf-8")
    assert {(variant, system, mesh) for _, variant, system, mesh, _ in asked} == {
        (variant, *where) for variant in model.sources for where in fit_table.columns(model)
    }
    assert asked[0][3] == "8x4", "the largest mesh first: chips in use cannot become more"

    # A variant that is named gets a row of its own, and the others stay; one that differs by its name has the same.
    first = next(iter(model.sources))
    again = replace(model.config(first), name="again")
    monkeypatch.setattr(registry, "model", lambda name: replace(model, variants={**model.variants, "again": again}))
    before = readme.read_text(encoding="utf-8")
    asked.clear()
    assert main(["compile", "gpt2:again", "--readme"]) == 0
    assert {variant for _, variant, *_ in asked} == {"again"}
    after = readme.read_text(encoding="utf-8")
    assert set(before.splitlines()) <= set(after.splitlines())
    assert "| `again` | 5.0 GiB |" in after
    asked.clear()
    assert main(["compile", "gpt2", "--readme"]) == 0
    assert {variant for _, variant, *_ in asked} == set(model.sources)
    assert "| `gpt2`, `again` | 4.0 GiB |" in readme.read_text(encoding="utf-8")


@pytest.fixture
def record(asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A record that is not written yet; the compiler that makes it has no version of its own."""
    path = tmp_path / "compiled.json"
    monkeypatch.setattr(compiled_record, "PATH", path)
    monkeypatch.setattr(Record, "of_here", lambda: Record("a compiler 1.0", "0.10"))
    return path


def test_recorded(
    asked: list[tuple[str, ...]], record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", "--record", "gpt2:gpt2", "mlp"]) == 0
    assert capsys.readouterr().out == "13 programs recorded in zoo/compiled.json, by a compiler 1.0\n"
    assert [(variant, system, mesh) for _, variant, system, mesh, _ in asked[:5]] == [
        ("gpt2", "t3k", "1x8"), ("dense", "t3k", "1x8"), ("megatron", "t3k", "1x8"), ("sum", "t3k", "1x8"),
        ("gpt2", "n300", "1x2"),
    ]  # fmt: skip
    asked.clear()
    assert main(["compile", "--check"]) == 0
    assert capsys.readouterr().out == "all 13 programs as recorded, by a compiler 1.0\n"
    assert {variant for _, variant, *_ in asked} == {"gpt2", "dense", "megatron", "sum"}

    asked.clear()
    assert main(["compile", "--check", "--mesh", "1x2"]) == 0
    assert capsys.readouterr().out == "all 4 programs as recorded, by a compiler 1.0\n"
    assert {mesh for *_, mesh, _ in asked} == {"1x2"}
    for words, expected in (
        (["--check", "--mesh", "1x3"], "1x8 or 1x2 or 1x1"),
        (["--record", "--mesh", "1x2"], "none"),
    ):
        with pytest.raises(SystemExit):
            main(["compile", *words])
        assert f"{words[2]}: expected {expected}" in capsys.readouterr().err

    def longer(chosen: Any, system: str, mesh: str, sizes: Sizes) -> Iterator[Row]:
        yield replace(
            ROW, parameters=sizes.parameters, ops={"matmul": 48 if system == "n150" else 12}, dram_peak_bytes=4 * GIB
        )

    monkeypatch.setattr(compiling, "rows_of", longer)
    assert main(["compile", "--check", "gpt2:gpt2"]) == 1
    worse, in_bfloat16, *better = capsys.readouterr().out.splitlines()
    assert worse.startswith("gpt2:gpt2 decode on n150 1x1: 36 -> 48 device ops")
    assert in_bfloat16.startswith("gpt2:gpt2 decode-bfloat16 on n150 1x1: 36 -> 48 device ops")
    assert "--system n150 --mesh 1x1 --parameters bfloat16" in in_bfloat16
    assert [line.partition(": ")[0] for line in better] == [
        f"gpt2:gpt2 decode on {where}" for where in ("t3k 1x8", "n300 1x2")
    ]


def test_another_compiler_compares_nothing(
    asked: list[tuple[str, ...]], record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compile", "--record"])
    assert ended.value.code == 2
    assert "nothing is recorded yet: name the models, MODEL:VARIANT" in capsys.readouterr().err
    assert main(["compile", "--record", "mlp:sum", "gpt2:gpt2"]) == 0
    monkeypatch.setattr(Record, "of_here", lambda: Record("a compiler 2.0", "0.10"))
    capsys.readouterr()
    asked.clear()
    assert main(["compile", "--check"]) == 0
    told = "compiled.json was made by a compiler 1.0, here is a compiler 2.0: python -m zoo compile --record"
    assert capsys.readouterr().out == f"NOTHING IS COMPARED: {told}\n"
    assert asked == []
    assert main(["compile", "--record", "mlp:sum"]) == 0
    assert {variant for _, variant, *_ in asked} == {"gpt2", "sum"}, "another compiler records all anew"


def test_choices() -> None:
    assert [variant for _, variant in chosen_by(["mlp:sum"], "1x2")] == ["sum"]
    assert {model.name for model, _ in chosen_by([], "1x16")} == {"gemma3", "llama", "qwen2_5", "qwen3"}
    n300: Any = SimpleNamespace(name="n300", chips=2, meshes=("1x2", "1x1"))
    assert [mesh_for(n300, given) for given in (None, "1x1", "2x1")] == ["1x2", "1x1", "2x1"]
    assert options_of(["optimization_level=O1", "fp32_dest_acc_en=yes"]) == {
        "optimization_level": "1",
        "fp32_dest_acc_en": "true",
    }


def compiled(*words: str) -> tuple[list[dict[str, Any]], int]:
    """Rows of the command in a process of its own, and the most memory that it had, in bytes."""
    try:
        find_build()
    except CompilerMissing as error:
        pytest.skip(str(error))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "TT_"))}
    command = [sys.executable, "-m", "zoo", "compile", *words, "--json"]
    process = subprocess.Popen(
        command, cwd=registry.ROOT.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        told, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert errors == ""
    rows = json.loads(told)
    assert process.returncode == int(any(row["problems"] for row in rows))
    return rows, usage.ru_maxrss * 1024


def test_by_the_compiler() -> None:
    rows, _ = compiled("gpt2:tiny", "mlp:megatron", "--system", "n300", "--by-line")
    assert [(row["variant"], row["program"], row["problems"]) for row in rows] == [
        ("tiny", "forward", []),
        ("tiny", "prefill", []),
        ("tiny", "decode", []),
        ("megatron", "forward", []),
    ]
    for row in rows:
        assert (row["compiles"], row["fits"]) == (True, True)
        assert row["collectives"] == {"all-reduce": 5 if row["model"] == "gpt2" else 1}
        assert sum(row["ops"].values()) > 5
        assert 0 < row["roofline_s"] < 1e-3
        assert 0 < row["dram_peak_bytes"] < 16 * 2**20
        assert sum(sum(line["ops"].values()) for line in row["lines"]) == sum(row["ops"].values())
        assert any(line["line"].startswith(f"zoo/{row['model']}/model.py:") for line in row["lines"] if line["line"])


@pytest.mark.skipif(not os.environ.get(registry.SLOW), reason=f"takes long: {registry.SLOW}=1")
@pytest.mark.parametrize(("system", "fits"), [("n150", False), ("n300", True)])
def test_the_largest_without_weights(system: str, fits: bool) -> None:
    rows, memory = compiled("qwen2_5:qwen2.5-7b", "--system", system)
    assert [(row["program"], row["compiles"], row["fits"]) for row in rows] == [
        (name, True, fits) for name in ("forward", "prefill", "decode")
    ]
    assert all(bool(row["problems"]) is not fits for row in rows)
    assert memory < GIB  # the weights have 15
