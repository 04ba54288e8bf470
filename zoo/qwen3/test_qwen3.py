"""Qwen3 beside the contract test (zoo/test_contract.py) and zoo/test_decoders.py: sizes, and config.json."""

from __future__ import annotations

from typing import Any

import jax
import pytest

from zoo.checkpoints.config_check import contradictions
from zoo.qwen3.params import hub_config
from zoo.qwen3.registration import MODEL

PARAMETERS = {
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
}
"""As published, with the embedding that a head is tied to counted once."""


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    leaves = jax.tree.leaves(MODEL.architecture.shapes(MODEL.config(variant)))
    assert sum(leaf.size for leaf in leaves) - 1 == PARAMETERS[variant]  # 1 for the number of the first row
    assert variant in MODEL.sources


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"head_dim": ...}, "head_dim is left out, which means 128, not 16"),
        ({"attention_bias": True}, "attention_bias is True, not False"),
        ({"use_sliding_window": True}, "use_sliding_window is True, not False"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling.rope_type is 'yarn', not 'default'"),
        ({"model_type": "qwen2"}, "model_type is 'qwen2', not 'qwen3'"),
        ({"attention_dropout": 0.1, "max_window_layers": 7}, ""),
    ],
)
def test_what_config_json_may_not_say(change: dict[str, Any], text: str) -> None:
    content = {**hub_config(MODEL.config("tiny")), **change}
    found = contradictions(MODEL, "tiny", {key: value for key, value in content.items() if value is not ...})
    assert text in ", ".join(found)
    assert bool(found) == bool(text)
