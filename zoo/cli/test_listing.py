"""The table of models: sizes as published, not too wide, quick, and true."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from zoo import registry
from zoo.__main__ import main
from zoo.cli import listing
from zoo.cli.listing import WIDTH, all_rows, record, rows_of

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED = {
    # num_parameters() of transformers' classes: GPT2LMHeadModel, Qwen2ForCausalLM, ResNetForImageClassification,
    # DistilBertForMaskedLM, BertModel, and BertForMaskedLM with the pooler that published checkpoints hold beside it.
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "bert-base-uncased": 109_514_298 + 590_592,
    "bert-large-uncased": 335_174_458 + 1_049_600,
    "all-MiniLM-L6-v2": 22_713_216,
    "distilbert-base-uncased": 66_985_530,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
    "resnet-18": 11_689_512,
    "resnet-50": 25_557_032,
}


def table(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["list"]) == 0
    return capsys.readouterr().out.splitlines()


def test_records_are_of_the_files_as_they_are() -> None:
    content = json.loads(listing.RECORDS.read_text(encoding="utf-8"))
    files = {name: listing.digest(registry.ROOT / name) for name in registry.names()}
    if {name: model["sources"] for name, model in content.items()} != files:
        pytest.fail("zoo/listing.json is not of these files: python -m zoo list --record", pytrace=False)


@pytest.mark.skipif(
    not os.environ.get(registry.SLOW), reason=f"takes long: set {registry.SLOW}=1, as session slow does"
)
def test_records_are_current() -> None:
    """They hold what the models say now, of every variant."""
    if listing.RECORDS.read_text(encoding="utf-8") != record():
        pytest.fail("zoo/listing.json is not what the models say: python -m zoo list --record", pytrace=False)


def test_parameters_are_those_published(capsys: pytest.CaptureFixture[str]) -> None:
    found = {row.variant: row.parameters for row in all_rows()}
    assert {name: found[name] for name in PUBLISHED} == PUBLISHED
    lines = {line.split()[0]: line for line in table(capsys) if re.match(r"  \S", line)}
    for variant, shown in (("gpt2", "124 M"), ("bert-base-uncased", "110 M"), ("bert-large-uncased", "336 M")):
        assert f" {shown} " in lines[variant]


def test_nothing_is_imported_for_our_own() -> None:
    code = "import sys; from zoo.__main__ import main; main(['list']); sys.exit('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=registry.ROOT.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    # What is indented more goes on with a long list of goldens.
    assert {line.split()[0] for line in lines if re.match(r"  \S", line)} == {row.variant for row in all_rows()}
    assert "none; shapes, and the code by 3b-1-layer" in next(line for line in lines if "2.5-3b-instruct" in line)


def test_changed_files_and_other_packages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Then the models are asked: a record that is out of date is not believed."""
    mlp = registry.model("mlp")
    content = json.loads(listing.RECORDS.read_text(encoding="utf-8"))
    for name in ("cnn", "mlp"):
        content[name]["rows"][0]["parameters"] = 1_000_000
    content["mlp"]["sources"] = "of other files"
    (tmp_path / "listing.json").write_text(json.dumps(content))
    others = {"mlp": mlp, "other": dataclasses.replace(mlp, name="other", folder=tmp_path)}
    monkeypatch.setattr(listing, "RECORDS", tmp_path / "listing.json")
    monkeypatch.setattr(registry, "names", lambda: ("cnn", "mlp"))
    monkeypatch.setattr(registry, "models", lambda: others)
    monkeypatch.setattr(listing, "entry_points", lambda group: ["an entry point"])
    header, *lines = table(capsys)
    assert header.split() == ["variant", "parameters", "bytes", "hub", "goldens"]
    meshes = "on 1x1 1x2 1x4 1x8 2x4 8x4"
    assert [" ".join(line.split()) for line in lines[: lines.index("")]] == [
        f"cnn {meshes}",
        "digits 1.00 M 21.8 k digits",
        "lesson 63.0 k 252 k lesson",
        f"mlp {meshes}",
        "dense 64 256 dense",
        "megatron 33.1 k 132 k megatron",
        "sum 193 772 sum",
        f"other {meshes}",
        "dense 64 256 dense (missing)",
        "megatron 33.1 k 132 k megatron (missing)",
        "sum 193 772 sum (missing)",
    ]
    monkeypatch.setattr(listing, "RECORDS", tmp_path / "none.json")
    monkeypatch.setattr(registry, "names", lambda: ("mlp",))
    assert [row for row in all_rows() if row.model == "mlp"] == rows_of(mlp)


def test_long_lists_of_goldens_go_on_below(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = (row for row in all_rows() if row.variant == "gpt2")
    names = tuple(f"case-{number}" for number in range(12))
    monkeypatch.setattr(listing, "all_rows", lambda: [dataclasses.replace(row, goldens=names)])
    _, _, first, second, *_ = table(capsys)
    assert len(first) <= WIDTH
    assert first.index("case-0") == second.index("case-")


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    (row,) = (row for row in rows if row["variant"] == "gpt2-xl")
    source = registry.model("gpt2").sources["gpt2-xl"]
    assert (row["repo"], row["revision"]) == (source.repo, source.revision)
    assert row["model"] == "gpt2"
    assert row["meshes"] == list(registry.model("gpt2").sharding.meshes)
