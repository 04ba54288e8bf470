"""The independent reference: transformers' LlamaForCausalLM and MistralForCausalLM, eager, in float32."""

from __future__ import annotations

from pathlib import Path

from zoo.llama import params
from zoo.llama.model import CONFIGS
from zoo.references.decoder import DecoderReference

REFERENCE = DecoderReference(
    model="llama",
    folder=Path(__file__).parent,
    configs=CONFIGS,
    checkpoint=params.synthetic_checkpoint,
    params=params.synthetic_params,
    hub_config=params.hub_config,
    seeds={"tiny": 1, "tiny-window": 0},
)
