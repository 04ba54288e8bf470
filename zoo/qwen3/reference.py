"""The independent reference: transformers' Qwen3ForCausalLM, eager, in float32. Needs the extra ``reference``."""

from __future__ import annotations

from pathlib import Path

from zoo.qwen3 import params
from zoo.qwen3.model import CONFIGS
from zoo.references.decoder import DecoderReference

REFERENCE = DecoderReference(
    model="qwen3",
    folder=Path(__file__).parent,
    configs=CONFIGS,
    checkpoint=params.synthetic_checkpoint,
    params=params.synthetic_params,
    hub_config=params.hub_config,
    seeds={"tiny": 0},
)
