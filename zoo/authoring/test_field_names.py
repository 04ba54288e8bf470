"""The zoo's names: what ``zoo new`` writes for classes that the zoo lacks, and what our own models have."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from typing import TYPE_CHECKING

import pytest

from zoo import registry
from zoo.__main__ import main
from zoo.authoring.config_audit import audited, defaults_of
from zoo.authoring.field_names import SYNONYMS, rope_theta, zoo_names
from zoo.checkpoints.config_check import contradictions

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry import Model

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="NOT TESTED WITH A REFERENCE: torch is not installed (nox's session walkthrough has it)",
)

FUNCTIONS = {
    "params": ("key_map", "hub_config", "synthetic_checkpoint", "synthetic_params"),
    "sharding": ("param_specs", "input_specs", "output_specs", "collectives"),
    "reference": ("made_up_inputs", "golden"),
    "registration": ("example", "mutants"),
}
"""Module of a model's folder to functions that each model has: docs/add_a_model.md, Names."""

DECODER = {"param_specs", "input_specs", "output_specs", "collectives", "made_up_inputs", "golden", "example"}
"""What language models of Llama's kind share: zoo/layers/decoder_sharding.py, zoo/references/decoder.py."""

OPTIONAL = {
    "cnn": {"collectives", "made_up_inputs", "example"},  # nothing is exchanged; the digits are its inputs
    "gpt2": {"example"},
    "gemma3": DECODER,
    "llama": DECODER,
    "mlp": {"example"},
    "qwen2_5": DECODER,
    "qwen3": DECODER,
    "resnet": {"collectives", "made_up_inputs", "example"},  # images are made up by their size
}
"""What some do without: functions that several models share, or that there is nothing for."""


def field_names_of(model: Model) -> set[str]:
    """Fields of the configs of a model."""
    return {field.name for config in model.variants.values() for field in dataclasses.fields(config)}


def foreign_names(model: Model) -> set[str]:
    """Fields for which the zoo has another name."""
    others = {other for names in SYNONYMS.values() for other in names} | OLD_NAMES
    return field_names_of(model) & others


OLD_NAMES = {
    "hidden", "inner", "intermediate", "layers", "heads", "kv_heads", "head_size", "vocab", "vocabulary", "table",
    "positions", "types", "eps", "epsilon", "theta", "tied", "padding", "classes",
}  # fmt: skip
"""What the models called these fields before they had transformers' names."""


LACKING = {
    "OPTForCausalLM": {
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim",
        "max_position_embeddings", "tie_word_embeddings",
    },
    "MistralForCausalLM": {
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim",
        "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "rope_theta", "tie_word_embeddings",
    },
    "ViTForImageClassification": {
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim", "layer_norm_eps",
        "image_size", "patch_size", "num_channels",
    },
    "BloomForCausalLM": {
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "layer_norm_eps",
        "tie_word_embeddings",
    },
}  # fmt: skip
"""Classes of models that the zoo lacks, and the fields that a config of theirs must have."""


@needs_torch
@pytest.mark.parametrize("kind", LACKING)
def test_names_of_what_the_zoo_lacks(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's names of fields and functions, and a verdict on every key of the config class."""
    from zoo.authoring.model_class import saved_tensors

    name = f"lacking_{kind.lower()}"
    assert main(["new", name, "--from", kind, "--into", str(tmp_path)]) == 0
    monkeypatch.syspath_prepend(tmp_path)
    for module, names in FUNCTIONS.items():
        found = importlib.import_module(f"{name}.{module}")
        assert [one for one in names if not callable(getattr(found, one, None))] == [], module
    model = importlib.import_module(f"{name}.registration").MODEL
    assert field_names_of(model) >= LACKING[kind]
    assert foreign_names(model) == set()

    checkpoint = model.checkpoint
    rows = list(audited(checkpoint.config_keys, defaults_of(checkpoint.config_keys)))
    assert [f"{row.key}: {row.problem}" for row in rows if row.problem] == []
    for variant, config in model.variants.items():
        told = checkpoint.hub_config(config)
        assert contradictions(model, variant, told) == []
        params = importlib.import_module(f"{name}.params")
        assert {tensor: shape for tensor, (shape, _) in saved_tensors(kind, told).items()} == dict(
            params.tensors(config)
        )
    tiny = checkpoint.hub_config(model.config("tiny"))
    assert contradictions(model, "base", tiny)


@pytest.mark.parametrize("name", registry.names())
def test_names_of_our_own_models(name: str) -> None:
    model = registry.model(name)
    assert foreign_names(model) == set()
    wanted = dict(FUNCTIONS)
    if model.checkpoint is None:
        wanted["params"] = ("synthetic_params",)
    for module, names in wanted.items():
        found = importlib.import_module(f"zoo.{name}.{module}")
        lacking = {one for one in names if not callable(getattr(found, one, None))}
        assert lacking <= OPTIONAL.get(name, set()), module


def test_field_names() -> None:
    gpt2 = {"hidden_size": "n_embd", "num_attention_heads": "n_head", "unknown": "n_head"}
    assert zoo_names(["n_embd", "n_head", "n_positions", "layer_norm_epsilon", "act"], gpt2) == {
        "n_embd": "hidden_size",
        "n_head": "num_attention_heads",
        "n_positions": "max_position_embeddings",
        "layer_norm_epsilon": "layer_norm_eps",
        "act": "act",
    }
    # A name that is taken, or wanted twice, is not given.
    assert zoo_names(["hidden_size", "d_model"], {}) == {"hidden_size": "hidden_size", "d_model": "d_model"}
    assert zoo_names(["d_model", "dim"], {}) == {"d_model": "d_model", "dim": "dim"}
    assert zoo_names(["_private"], {}) == {"_private": "private"}
    assert rope_theta({"rope_theta": 10000, "rope_type": "default"}) == 10000.0
    assert rope_theta({"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0}) is None
    assert rope_theta(None) is None
