"""The page of JAX models that TT-XLA skips: what it says of the zoo is so."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zoo import registry
from zoo.cli.compiled_record import PATH

if TYPE_CHECKING:
    from types import ModuleType

GENERATOR = Path(__file__).parents[1] / "docs/generator"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(GENERATOR)
    import skipped

    monkeypatch.delitem(sys.modules, "skipped")
    return skipped


def data_of(page: Any) -> Any:
    return json.loads(page.DATA.read_text(encoding="utf-8"))


def test_every_case_is_on_the_page_once(page: Any) -> None:
    data, text = data_of(page), page.skipped()
    keys = [key for architecture in data["architectures"] for key in architecture["cases"]]
    assert len(keys) == len(set(keys)) == 87  # counted in the file that `data` names, at its commit
    assert {text.count(f"`{key}`") for key in keys} == {1}
    for name in ("name", "model_type"):
        assert max(Counter(architecture[name] for architecture in data["architectures"]).values()) == 1


def test_what_it_says_of_the_zoo_is_so(page: Any) -> None:
    found = list(page.cases(data_of(page)))
    compiled = json.loads(PATH.read_text(encoding="utf-8"))["programs"]
    exact = [case for case in found if case.variant is not None]
    assert len(exact) >= 8
    for case in exact:
        variant = case.variant
        model = registry.model(variant.model)
        published = json.loads((model.files / "published.json").read_text(encoding="utf-8"))["variants"]
        assert published[variant.name]["repo"].lower() == case.checkpoint.lower()
        assert variant.name in model.variants
        assert variant.meshes == model.sharding.meshes
        assert all(model.golden_path(name).is_file() for name in variant.goldens), case.key
        assert {model.goldens[name].variant for name in variant.goldens} <= {variant.name}
        assert variant.goldens or model.golden_path(variant.nearest).is_file(), case.key
        for place, ops in variant.ops.items():
            assert compiled[f"{variant.model}:{variant.name} forward on {place}"].get("ops") == ops
        if variant.predicted:
            made = json.loads((model.files / "predicted.json").read_text(encoding="utf-8"))["predictions"]
            cases = {name for name in variant.goldens if not variant.of_tiny} or {
                name for name, about in model.goldens.items() if about.variant.startswith("tiny")
            }
            for kind, least in variant.predicted.items():
                values = [one["pcc"] or 0.0 for one in made if one["case"] in cases and one["weights"] == kind]
                assert least == min(values), case.key


def test_what_the_zoo_lacks_is_said(page: Any) -> None:
    """And a checkpoint that is not published by any of its variants is not said to be there."""
    data = {
        "architectures": [
            {"name": "Other", "model_type": "other", "cases": {"other/jax-A": "someone/other"}},
            {"name": "BERT", "model_type": "bert", "cases": {"bert/jax-B": "someone/bert", "bert/jax-C": None}},
            {"name": "GPT-2", "model_type": "gpt2", "cases": {"gpt2/jax-D": "OpenAI-community/GPT2-XL"}},
            {"name": "ViT", "model_type": "vit", "cases": {"vit/jax-E": "google/vit-large-patch16-224"}},
        ]
    }
    other, someones, none, gpt2, vit = page.cases(data)
    assert (other.variant, other.others, someones.variant, none.variant) == (None, (), None, None)
    assert {variant.model for variant in someones.others} == {"bert"}
    assert (gpt2.variant.model, gpt2.variant.name, gpt2.variant.of_tiny) == ("gpt2", "gpt2-xl", False)
    assert (vit.variant.model, vit.variant.name, vit.variant.of_tiny) == ("vit", "vit-large-patch16-224", True)
