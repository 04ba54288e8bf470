"""What each key of a config.json means for Llama and for Mistral, whose classes have other defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_keys import ConfigKeys, DefaultOf, Field, Ignored, Nested, Only, divided, same_as

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.llama.model import LlamaConfig


def _kind(config: LlamaConfig) -> str:
    return "default" if config.rope_scaling is None else "llama3"


def _scaling(name: str) -> Callable[[LlamaConfig], Any]:
    return lambda config: getattr(config.rope_scaling, name, None)


_SCALING = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")

_ROTATION = Nested(
    {
        "rope_theta": Field(name="rope_theta"),
        "rope_type": Field(name="rope_type", of=_kind),
        "type": Field(name="rope_type", of=_kind),
        **{name: Field(name=name, of=_scaling(name)) for name in _SCALING},
        "partial_rotary_factor": Only(1.0, None),
    }
)
"""What transformers 5 writes as rope_parameters, and older versions (without the base) as rope_scaling."""

KEYS = ConfigKeys(
    "LlamaConfig",
    {
        "architectures": Only("LlamaForCausalLM", "MistralForCausalLM", each=True),
        "model_type": Field(DefaultOf(llama="llama", mistral="mistral")),
        "num_hidden_layers": Field(32),
        "hidden_size": Field(4096),
        "num_attention_heads": Field(32),
        "num_key_value_heads": Field(DefaultOf(llama=None, mistral=8), or_else=same_as("num_attention_heads", 32)),
        "head_dim": Field(None, or_else=divided("hidden_size", 4096, "num_attention_heads", 32)),
        "intermediate_size": Field(DefaultOf(llama=11008, mistral=14336)),
        "max_position_embeddings": Field(DefaultOf(llama=2048, mistral=131072)),
        "vocab_size": Field(32000),
        "rms_norm_eps": Field(1e-6),
        "rope_theta": Field(10000.0),
        "rope_parameters": _ROTATION,
        "rope_scaling": _ROTATION,
        # A file without them has angles that are not scaled: what the rotation's settings lack.
        "rope_type": Field("default", of=_kind),
        **{name: Field(None, of=_scaling(name)) for name in _SCALING},
        "partial_rotary_factor": Only(1.0, None),
        "tie_word_embeddings": Field(False),
        "sliding_window": Field(DefaultOf(llama=None, mistral=4096), of=lambda config: config.sliding_window),
        "hidden_act": Only("silu"),
        "attention_bias": Only(False),
        "mlp_bias": Only(False),
        "rope_interleaved": Only(False, None),
        "attention_dropout": Ignored("dropout: of training"),
        "pretraining_tp": Ignored("how PyTorch computes the same"),
        "is_llama_config": Ignored("which program trained it"),
    },
)
