"""Parameters: what each tensor of a Qwen2ForCausalLM checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.checkpoints import decoder_tensors
from zoo.checkpoints.decoder_tensors import hub_sizes, key_map, params_of

if TYPE_CHECKING:
    from zoo.qwen2_5.model import Qwen2Config

__all__ = ["hub_config", "key_map", "synthetic_checkpoint", "synthetic_params"]

synthetic_checkpoint = partial(decoder_tensors.synthetic_checkpoint, "qwen2_5")


def hub_config(config: Qwen2Config) -> dict[str, Any]:
    """What ``config.json`` of a checkpoint of this size says."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        **hub_sizes(config),
        "max_window_layers": config.num_hidden_layers,
        "sliding_window": None,
        "use_sliding_window": False,
    }


def synthetic_params(config: Qwen2Config, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """The parameters of the made-up checkpoint, in the dtypes of the module's, on the host."""
    return params_of(synthetic_checkpoint(config, seed, scores), config)
