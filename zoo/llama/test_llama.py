"""Llama beside the contract test (zoo/test_contract.py) and zoo/test_decoders.py: sizes, angles, and config.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from zoo.authoring.config_audit import audited, defaults_of
from zoo.checkpoints.config_check import contradictions
from zoo.layers.rotary import LinearScaling, Llama3Scaling, Rotary
from zoo.llama.config_keys import KEYS
from zoo.llama.params import hub_config
from zoo.llama.registration import MODEL

PARAMETERS = {
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "smollm2-1.7b": 1_711_376_384,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "llama-3.1-8b": 8_030_261_248,
    "mistral-7b-v0.3": 7_248_023_552,
}
"""As published, with the embedding that a head is tied to counted once."""


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    for name in (variant, f"{variant}-instruct"):
        leaves = jax.tree.leaves(MODEL.architecture.shapes(MODEL.config(name)))
        assert sum(leaf.size for leaf in leaves) - 1 == PARAMETERS[variant]  # 1 for the number of the first row
        assert name in MODEL.sources


def test_frequencies() -> None:
    """Turns of fewer than one in the old length are eight times as slow, of more than four the same."""
    plain = Rotary(5e5).frequencies(128)
    scaled = Rotary(5e5, Llama3Scaling(8.0, 1.0, 4.0, 8192)).frequencies(128)
    turns = 8192 * plain / (2 * np.pi)
    np.testing.assert_array_equal(scaled[turns > 4], plain[turns > 4])
    np.testing.assert_allclose(scaled[turns < 1], plain[turns < 1] / 8, rtol=1e-15)
    between = (turns > 1) & (turns < 4)
    assert between.sum() == 6
    assert ((scaled < plain) & (scaled > plain / 8))[between].all()
    assert (np.diff(scaled) < 0).all()
    np.testing.assert_array_equal(Rotary(5e5, LinearScaling(4.0)).frequencies(128), plain / 4)


def test_every_key_of_mistral_too() -> None:
    """``zoo configs`` audits LlamaConfig; a Mistral's file without a key has the defaults of another class."""
    mistral = replace(KEYS, config_class="MistralConfig")
    assert [f"{row.key}: {row.problem}" for row in audited(mistral, defaults_of(mistral)) if row.problem] == []


SCALING = hub_config(MODEL.config("tiny"))["rope_scaling"]


@pytest.mark.parametrize(
    ("variant", "change", "text"),
    [
        ("tiny", {"rope_scaling": ...}, "rope_type is left out, which means 'default', not 'llama3'"),
        ("tiny", {"rope_scaling": None}, "rope_type is left out, which means 'default', not 'llama3'"),
        ("tiny", {"rope_scaling": {**SCALING, "factor": 32.0}}, "rope_scaling.factor is 32.0, not 8.0"),
        ("tiny", {"rope_scaling": {**SCALING, "rope_type": "yarn"}}, "rope_scaling.rope_type is 'yarn', not 'llama3'"),
        ("tiny", {"rope_scaling": {**SCALING, "beta_fast": 2}}, "rope_scaling.beta_fast is 2, a key that the zoo does"),
        ("tiny", {"sliding_window": 8}, "sliding_window is 8, not None"),
        ("tiny", {"attention_bias": True}, "attention_bias is True, not False"),
        ("tiny", {"num_key_value_heads": ...}, "num_key_value_heads is left out, which means 9, not 3"),
        ("tiny", {"model_type": "mistral"}, "model_type is 'mistral', not 'llama'"),
        ("tiny-window", {"sliding_window": ...}, "sliding_window is left out, which means 4096, not 6"),
        ("tiny-window", {"sliding_window": None}, "sliding_window is None, not 6"),
        ("tiny-window", {"intermediate_size": ...}, "intermediate_size is left out, which means 14336, not 100"),
        ("mistral-7b-v0.3", {"sliding_window": ...}, "sliding_window is left out, which means 4096, not None"),
        ("smollm2-135m", {"rope_scaling": SCALING}, "rope_scaling.rope_type is 'llama3', not 'default'"),
        ("smollm2-135m", {"head_dim": ..., "pretraining_tp": 1, "is_llama_config": True}, ""),
    ],
)
def test_what_config_json_may_not_say(variant: str, change: dict[str, Any], text: str) -> None:
    content = {**hub_config(MODEL.config(variant)), **change}
    found = contradictions(MODEL, variant, {key: value for key, value in content.items() if value is not ...})
    assert text in ", ".join(found)
    assert bool(found) == bool(text)
