"""The command that tries known mutants says which are caught and which are not; `nox --session mutants` tries all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from jax.sharding import PartitionSpec as P

from zoo import registry
from zoo.authoring import mutation
from zoo.authoring.mutation import Mutant, changed, lying
from zoo.mlp import mutants


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **listed: Mutant
) -> tuple[int, list[str]]:
    """Exit code, and the lines behind the table, of the command with other mutants of the MLP."""
    monkeypatch.setattr(mutants, "MUTANTS", listed)
    monkeypatch.setattr(mutants, "WITHIN_HW_BOUNDS", {"small"})
    monkeypatch.setattr(mutation, "LEAST", 3)
    code = mutation.main(["mlp"])
    lines = capsys.readouterr().out.splitlines()
    end = next(index for index, line in enumerate(lines) if " mutants of 1 models, " in line)
    return code, lines[end:]


SMALL = changed("Dense_1/bias", lambda bias: bias * 1.001)
LARGE = changed("Dense_0/kernel", lambda kernel: -kernel)
PLACED = lying("input_specs", "x", P())


def test_all_are_caught(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = told(monkeypatch, capsys, small=SMALL, large=LARGE, placed=PLACED)
    assert (code, lines) == (0, ["3 mutants of 1 models, 0 wrong"])


def test_what_is_not_caught(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = Mutant(params=lambda tree: tree)
    unseen = Mutant(model=lambda model: replace(model, work=registry.images_of))
    code, lines = told(monkeypatch, capsys, nothing=nothing, unseen=unseen, large=SMALL)
    assert code == 1
    assert lines[1:] == [
        "mlp: nothing: not caught",
        "mlp: large: not caught by the bounds of real chips, WITHIN_HW_BOUNDS says otherwise",
        "mlp: unseen: not caught",
    ]


def test_too_few(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = told(monkeypatch, capsys, small=SMALL, large=LARGE)
    assert (code, lines[1:]) == (1, ["mlp: 2 mutants, expected at least 3"])


@pytest.mark.parametrize("name", registry.names())
def test_every_model_has_mutants(name: str) -> None:
    known = mutation.mutants_of(registry.model(name))
    assert len(known.mutants) >= mutation.LEAST == 15
    assert known.within_hw_bounds is not None


def test_published_otherwise() -> None:
    """A size registered wrong, a source of another revision, and a variant that is gone."""
    gpt2 = registry.model("gpt2")
    assert mutation.objections(gpt2, "tiny") == []
    wrong = mutation.registered("gpt2-medium", num_attention_heads=32, head_dim=32).model
    assert wrong is not None
    assert mutation.objections(wrong(gpt2), "tiny") == ["gpt2-medium: n_head is 32, published is 16"]
    source = replace(gpt2.sources["gpt2-xl"], revision="0" * 40)
    (told,) = mutation.objections(replace(gpt2, sources={**gpt2.sources, "gpt2-xl": source}), "tiny")
    assert told.startswith(f"gpt2-xl: loaded from openai-community/gpt2-xl@{'0' * 40}, published.json is of ")
    few = {name: config for name, config in gpt2.variants.items() if name != "gpt2-large"}
    (told,) = mutation.objections(replace(gpt2, variants=few, sources={}, cases={}), "tiny")
    assert told == "gpt2-large: is in published.json, but is not a variant of gpt2"
