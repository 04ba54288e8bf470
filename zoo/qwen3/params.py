"""Parameters: what each tensor of a Qwen3ForCausalLM checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.checkpoints import decoder_tensors
from zoo.checkpoints.decoder_tensors import hub_sizes, key_map, params_of
from zoo.checkpoints.hub import Source

if TYPE_CHECKING:
    from zoo.qwen3.model import Qwen3Config

__all__ = ["SOURCES", "hub_config", "key_map", "synthetic_checkpoint", "synthetic_params"]

SOURCES = {
    "qwen3-0.6b": Source("Qwen/Qwen3-0.6B", "c1899de289a04d12100db370d81485cdf75e47ca"),
    "qwen3-1.7b": Source("Qwen/Qwen3-1.7B", "70d244cc86ccca08cf5af4e1e306ecf908b1ad5e"),
    "qwen3-4b": Source("Qwen/Qwen3-4B", "1cfa9a7208912126459214e8b04321603b3df60c"),
    "qwen3-8b": Source("Qwen/Qwen3-8B", "b968826d9c46dd6066d109eabc6255188de91218"),
}

synthetic_checkpoint = partial(decoder_tensors.synthetic_checkpoint, "qwen3")


def hub_config(config: Qwen3Config) -> dict[str, Any]:
    """What ``config.json`` of a checkpoint of this size says."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_act": "silu",
        "head_dim": config.head_dim,
        **hub_sizes(config),
        "attention_bias": False,
        "max_window_layers": config.num_hidden_layers,
        "rope_scaling": None,
        "sliding_window": None,
        "use_sliding_window": False,
    }


def synthetic_params(config: Qwen3Config, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """The parameters of the made-up checkpoint, in the dtypes of the module's, on the host."""
    return params_of(synthetic_checkpoint(config, seed, scores), config)
