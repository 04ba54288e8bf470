"""Parameters: what each tensor of a Gemma3ForCausalLM checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.checkpoints import decoder_tensors
from zoo.checkpoints.decoder_tensors import hub_sizes, key_map, params_of
from zoo.checkpoints.hub import Source

if TYPE_CHECKING:
    from zoo.gemma3.model import Gemma3Config

__all__ = ["SOURCES", "hub_config", "key_map", "synthetic_checkpoint", "synthetic_params"]

# The published 4B is one of images and texts, whose files have other names: save its language model by transformers.
SOURCES = {
    "gemma-3-1b-pt": Source("google/gemma-3-1b-pt", "fcf18a2a879aab110ca39f8bffbccd5d49d8eb29"),
    "gemma-3-1b-it": Source("google/gemma-3-1b-it", "dcc83ea841ab6100d6b47a070329e1ba4cf78752"),
}

synthetic_checkpoint = partial(decoder_tensors.synthetic_checkpoint, "gemma3")


def hub_config(config: Gemma3Config) -> dict[str, Any]:
    """What ``config.json`` of a checkpoint of this size says."""
    scaling = config.rope_scaling
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "head_dim": config.head_dim,
        **hub_sizes(config),
        "attention_bias": False,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "query_pre_attn_scalar": config.query_pre_attn_scalar,
        "rope_local_base_freq": config.rope_local_base_freq,
        "rope_scaling": None if scaling is None else {"rope_type": "linear", "factor": scaling.factor},
        "sliding_window": config.sliding_window,
        "sliding_window_pattern": config.sliding_window_pattern,
    }


def synthetic_params(config: Gemma3Config, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """The parameters of the made-up checkpoint, in the dtypes of the module's, on the host."""
    return params_of(synthetic_checkpoint(config, seed, scores), config)
