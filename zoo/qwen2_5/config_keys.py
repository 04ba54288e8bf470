"""What each key of a config.json means for Qwen2.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Nested, Only, divided, same_as

if TYPE_CHECKING:
    from zoo.qwen2_5.model import Qwen2Config


def _head_dim_here(config: Qwen2Config) -> int:
    return config.head_dim


_ROTATION = Nested(
    {
        "rope_theta": Field(name="rope_theta"),
        "rope_type": Only("default"),
        "type": Only("default"),
        "partial_rotary_factor": Only(1.0, None),
    }
)
"""What transformers 5 writes as rope_parameters, and older versions (without the base) as rope_scaling."""

KEYS = ConfigKeys(
    "Qwen2Config",
    {
        "architectures": Only("Qwen2ForCausalLM", each=True),
        "model_type": Only("qwen2"),
        "num_hidden_layers": Field(32),
        "hidden_size": Field(4096),
        "num_attention_heads": Field(32),
        "num_key_value_heads": Field(32, or_else=same_as("num_attention_heads", 32)),
        "head_dim": Field(None, or_else=divided("hidden_size", 4096, "num_attention_heads", 32), of=_head_dim_here),
        "intermediate_size": Field(22016),
        "max_position_embeddings": Field(32768),
        "vocab_size": Field(151936),
        "rms_norm_eps": Field(1e-6),
        "rope_theta": Field(10000.0),
        "rope_parameters": _ROTATION,
        "rope_scaling": _ROTATION,
        "partial_rotary_factor": Only(1.0, None),
        "tie_word_embeddings": Field(False),
        "hidden_act": Only("silu"),
        "layer_types": Only("full_attention", each=True),
        "use_sliding_window": Only(False),
        "use_mrope": Only(False),
        **dict.fromkeys(
            ("max_window_layers", "sliding_window"), Ignored("of sliding windows, which use_sliding_window is about")
        ),
        "attention_dropout": Ignored("dropout: of training"),
    },
)
