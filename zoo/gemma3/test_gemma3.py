"""Gemma 3 beside the contract test (zoo/test_contract.py) and zoo/test_decoders.py: sizes, layers, and config.json."""

from __future__ import annotations

from typing import Any

import jax
import pytest

from zoo.checkpoints.config_check import contradictions
from zoo.gemma3.params import hub_config
from zoo.gemma3.registration import MODEL

PARAMETERS = {"gemma-3-1b-pt": 999_885_952, "gemma-3-1b-it": 999_885_952, "gemma-3-4b-text": 3_880_263_168}
"""As published, with the embedding that the head is tied to counted once; of the 4B its language model alone."""


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    leaves = jax.tree.leaves(MODEL.architecture.shapes(MODEL.config(variant)))
    assert sum(leaf.size for leaf in leaves) - 1 == PARAMETERS[variant]  # 1 for the number of the first row


def test_every_sixth_layer_attends_to_everything() -> None:
    views = MODEL.config("gemma-3-1b-pt").views
    far = [number for number, view in enumerate(views, start=1) if view.window is None]
    assert far == [6, 12, 18, 24]
    assert {(view.window, view.rotary.theta) for view in views} == {(None, 1e6), (512, 1e4)}


TYPES = ["sliding_attention", "sliding_attention", "full_attention"]

ROTATION = {
    "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
}

WRONG = {**ROTATION, "sliding_attention": ROTATION["full_attention"]}

OLD = {"rope_theta": ..., "rope_local_base_freq": ..., "rope_scaling": ..., "sliding_window_pattern": ...}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sliding_window_pattern": 2}, "layer_types is left out, which means ['sliding_attention', 'full_attention',"),
        ({"layer_types": TYPES[::-1]}, "layer_types is ['full_attention', 'sliding_attention', 'sliding_attention'],"),
        ({"sliding_window": ...}, "sliding_window is left out, which means 4096, not 5"),
        ({"rope_scaling": None}, "rope_type is left out, which means 'default', not 'linear'"),
        ({"rope_local_base_freq": ...}, "rope_local_base_freq is left out, which means 10000.0, not 30.0"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0, not None"),
        ({"query_pre_attn_scalar": ...}, "query_pre_attn_scalar is left out, which means 256, not 24"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False, not True"),
        ({"model_type": "gemma3"}, "model_type is 'gemma3', not 'gemma3_text'"),
        ({**OLD, "layer_types": TYPES, "rope_parameters": ROTATION}, ""),
        (
            {**OLD, "layer_types": TYPES, "rope_parameters": WRONG},
            "rope_parameters.sliding_attention.rope_theta is 500.0, not 30.0",
        ),
        (
            {**OLD, "layer_types": TYPES, "rope_parameters": {}},
            "rope_theta is left out, which means 1000000.0, not 500.0",
        ),
    ],
)
def test_what_config_json_may_not_say(change: dict[str, Any], text: str) -> None:
    content = {**hub_config(MODEL.config("tiny")), **change}
    found = contradictions(MODEL, "tiny", {key: value for key, value in content.items() if value is not ...})
    assert text in ", ".join(found)
    assert bool(found) == bool(text)
