"""Parameters: what each tensor of a checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.checkpoints import decoder_tensors
from zoo.checkpoints.decoder_tensors import hub_sizes, key_map, params_of
from zoo.checkpoints.hub import Source

if TYPE_CHECKING:
    from zoo.llama.model import LlamaConfig

__all__ = ["SOURCES", "hub_config", "key_map", "synthetic_checkpoint", "synthetic_params"]

SOURCES = {
    "smollm2-135m": Source("HuggingFaceTB/SmolLM2-135M", "93efa2f097d58c2a74874c7e644dbc9b0cee75a2"),
    "smollm2-135m-instruct": Source("HuggingFaceTB/SmolLM2-135M-Instruct", "12fd25f77366fa6b3b4b768ec3050bf629380bac"),
    "smollm2-360m": Source("HuggingFaceTB/SmolLM2-360M", "f8027fd0eaeea54caa13c31d31b9fdc459c38b49"),
    "smollm2-360m-instruct": Source("HuggingFaceTB/SmolLM2-360M-Instruct", "a10cc1512eabd3dde888204e902eca88bddb4951"),
    "smollm2-1.7b": Source("HuggingFaceTB/SmolLM2-1.7B", "effd688a12921b4cc83e3312b6feb579f70f9c71"),
    "smollm2-1.7b-instruct": Source("HuggingFaceTB/SmolLM2-1.7B-Instruct", "31b70e2e869a7173562077fd711b654946d38674"),
    "llama-3.2-1b": Source("meta-llama/Llama-3.2-1B", "4e20de362430cd3b72f300e6b0f18e50e7166e08"),
    "llama-3.2-1b-instruct": Source("meta-llama/Llama-3.2-1B-Instruct", "9213176726f574b556790deb65791e0c5aa438b6"),
    "llama-3.2-3b": Source("meta-llama/Llama-3.2-3B", "13afe5124825b4f3751f836b40dafda64c1ed062"),
    "llama-3.2-3b-instruct": Source("meta-llama/Llama-3.2-3B-Instruct", "0cb88a4f764b7a12671c53f0838cd831a0843b95"),
    "llama-3.1-8b": Source("meta-llama/Llama-3.1-8B", "d04e592bb4f6aa9cfee91e2e20afa771667e1d4b"),
    "llama-3.1-8b-instruct": Source("meta-llama/Llama-3.1-8B-Instruct", "0e9e39f249a16976918f6564b8830bc894c89659"),
    "mistral-7b-v0.3": Source("mistralai/Mistral-7B-v0.3", "caa1feb0e54d415e2df31207e5f4e273e33509b1"),
    "mistral-7b-v0.3-instruct": Source(
        "mistralai/Mistral-7B-Instruct-v0.3", "c170c708c41dac9275d15a8fff4eca08d52bab71"
    ),
}

synthetic_checkpoint = partial(decoder_tensors.synthetic_checkpoint, "llama")


def hub_config(config: LlamaConfig) -> dict[str, Any]:
    """What ``config.json`` of a checkpoint of this size says."""
    scaling = config.rope_scaling
    own: dict[str, Any] = {
        "llama": {
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": False,
            "mlp_bias": False,
            "rope_scaling": None
            if scaling is None
            else {
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_max_position_embeddings,
            },
        },
        "mistral": {"architectures": ["MistralForCausalLM"], "sliding_window": config.sliding_window},
    }
    return {
        "model_type": config.model_type,
        "hidden_act": "silu",
        "head_dim": config.head_dim,
        **hub_sizes(config),
        **own[config.model_type],
    }


def synthetic_params(config: LlamaConfig, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """The parameters of the made-up checkpoint, in the dtypes of the module's, on the host."""
    return params_of(synthetic_checkpoint(config, seed, scores), config)
