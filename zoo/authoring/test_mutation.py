"""The command that tries known mutants says which are caught and which are not; `nox --session mutants` tries all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from jax.sharding import PartitionSpec as P

from zoo import registry
from zoo.__main__ import main
from zoo.authoring import mutation
from zoo.authoring.mutants import Mutant, Mutants, changed, lying, registered
from zoo.mlp import mutants


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **listed: Mutant
) -> tuple[int, list[str]]:
    """Exit code, and the lines behind the table, of the command with other mutants of the MLP."""
    known = Mutants(case="megatron", by_name=listed, within_hw_bounds={"small"})
    monkeypatch.setattr(mutants, "MUTANTS", known)
    monkeypatch.setattr(mutation, "LEAST", 3)
    code = main(["mutants", "mlp"])
    lines = capsys.readouterr().out.splitlines()
    end = next(index for index, line in enumerate(lines) if " mutants of 1 model, " in line)
    return code, lines[end:]


SMALL = changed("Dense_1/bias", lambda bias: bias * 1.001)
LARGE = changed("Dense_0/kernel", lambda kernel: -kernel)
PLACED = lying("input_specs", "x", P())


def test_all_are_caught(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = told(monkeypatch, capsys, small=SMALL, large=LARGE, placed=PLACED)
    assert (code, lines) == (0, ["3 mutants of 1 model, 0 wrong"])


def test_what_is_not_caught(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = Mutant(params=lambda leaves: leaves)
    unseen = Mutant(sharding=lambda right: replace(right, collectives=lambda config, mesh, inputs: {}))
    code, lines = told(monkeypatch, capsys, nothing=nothing, unseen=unseen, large=SMALL)
    assert code == 1
    assert lines[1:] == [
        "mlp: nothing: not caught",
        "mlp: large: not caught by the bounds of real chips, within_hw_bounds says otherwise",
        "mlp: unseen: not caught",
    ]


def test_too_few(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = told(monkeypatch, capsys, small=SMALL, large=LARGE)
    assert (code, lines[1:]) == (1, ["mlp: 2 mutants, expected at least 3"])


@pytest.mark.parametrize("name", registry.names())
def test_every_model_has_mutants(name: str) -> None:
    model = registry.model(name)
    assert model.mutants is not None
    known = model.mutants()
    assert len(known.by_name) >= mutation.LEAST == 15
    assert known.within_hw_bounds is not None


def test_cases_with_a_forward_of_their_own_are_not_emulated() -> None:
    """Chips are given the inputs of the model, not those of a text that is computed token by token."""
    model = registry.model("llama")
    chips: Any = object()
    verdict = mutation.judge(model, "text", model.weights_of("text"), chips=chips)
    assert verdict.sim.passed
    assert verdict.emulated == "-"


def test_published_otherwise() -> None:
    """A size registered wrong, a source of another revision, and a variant that is gone."""
    gpt2 = registry.model("gpt2")
    assert mutation.objections(gpt2, "tiny") == []
    wrong = registered("gpt2-medium", num_attention_heads=32, head_dim=32)
    (told,) = mutation.objections(mutation.described_wrongly(gpt2, wrong), "tiny")
    assert told == "gpt2-medium: n_head is 32, published is 16"
    source = replace(gpt2.sources["gpt2-xl"], revision="0" * 40)
    assert gpt2.checkpoint is not None
    moved = replace(gpt2.checkpoint, sources={**gpt2.sources, "gpt2-xl": source})
    (told,) = mutation.objections(replace(gpt2, checkpoint=moved), "tiny")
    assert told.startswith(f"gpt2-xl: loaded from openai-community/gpt2-xl@{'0' * 40}, published.json is of ")
    few = {name: config for name, config in gpt2.variants.items() if name != "gpt2-large"}
    alone = replace(gpt2.checkpoint, sources={})
    (told,) = mutation.objections(replace(gpt2, variants=few, checkpoint=alone, goldens={}), "tiny")
    assert told == "gpt2-large: is in published.json, but is not a variant of gpt2"
