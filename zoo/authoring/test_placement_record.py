"""What is written down of where arrays lie, and what objects when the code says otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from jax.sharding import PartitionSpec as P

from zoo import registry
from zoo.__main__ import main
from zoo.authoring import placement_record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("spec", "rank", "text"),
    [
        (P(), 2, "whole"),
        (P(None, None), 2, "whole"),
        (P("batch"), 3, "batch, -, -"),
        (P(("batch", "model"), None), 2, "batch+model, -"),
        (P(None, "model"), 2, "-, model"),
        (P(), 0, "whole"),
    ],
)
def test_words(spec: Any, rank: int, text: str) -> None:
    assert placement_record.words(spec, rank) == text


@pytest.mark.parametrize("name", ["mlp", "cnn", "distilbert"])
def test_files_are_what_the_command_writes(name: str) -> None:
    model = registry.model(name)
    written = placement_record.path_of(model).read_text(encoding="utf-8")
    assert placement_record.text_of(placement_record.described(model)) == written
    assert {variant for group in json.loads(written)["arrays"] for variant in group["variants"]} == set(model.variants)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model = replace(registry.model("mlp"), name="m", folder=tmp_path)
    assert placement_record.problems(model, "sum")[0].endswith(
        "missing; write it with: python -m zoo placement m, and read it"
    )
    monkeypatch.setattr(registry, "models", lambda others=(): {"m": model})
    for word in ("changed", "unchanged"):
        assert main(["placement", "m"]) == 0
        assert capsys.readouterr().out == f"m: {word}\n"
    assert placement_record.problems(model, "sum") == []
    whole = replace(model.sharding, param_specs=lambda config, mesh: {"params": P()})
    padded = replace(model, sharding=whole)
    told = placement_record.problems(padded, "sum")
    assert "sum: parameters params/Dense_0/bias: whole, in placement.json: model" in told
    assert "sum: 772 bytes of parameters a chip on 1x2, in placement.json: 388" in told
    assert told[-1] == "if that is meant: python -m zoo placement m"
    wrong = replace(model.sharding, output_specs=lambda config, mesh: {"output": P("batch" if mesh.size > 1 else None)})
    other = replace(model, sharding=wrong)
    assert placement_record.problems(other, "sum") == [
        "m sum: outputs output: batch, - on 1x2, else whole",
    ]
    with pytest.raises(SystemExit) as stop:
        main(["placement", "n"])
    assert stop.value.code == 2
