"""What each key of a config.json means for Gemma 3's text model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Nested, Only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.gemma3.model import Gemma3Config

NEAR, FAR = "sliding_attention", "full_attention"


def _types_told(content: Mapping[str, Any]) -> Any:
    """What layers without ``layer_types`` are."""
    pattern = content.get("sliding_window_pattern", content.get("_sliding_window_pattern", 6))
    return [NEAR if number % pattern else FAR for number in range(1, content.get("num_hidden_layers", 26) + 1)]


def _types_here(config: Gemma3Config) -> list[str]:
    return [FAR if view.window is None else NEAR for view in config.views]


def _kind(config: Gemma3Config) -> str:
    return "default" if config.rope_scaling is None else "linear"


def _factor(config: Gemma3Config) -> float | None:
    return None if config.rope_scaling is None else config.rope_scaling.factor


_SCALING = {
    "rope_type": Field(name="rope_type", of=_kind),
    "type": Field(name="rope_type", of=_kind),
    "factor": Field(name="factor", of=_factor),
}

_OF_LAYERS = Ignored("what layer_types says, and stands for where they are missing")

KEYS = ConfigKeys(
    "Gemma3TextConfig",
    {
        "architectures": Only("Gemma3ForCausalLM", each=True),
        "model_type": Only("gemma3_text"),
        "num_hidden_layers": Field(26),
        "hidden_size": Field(2304),
        "num_attention_heads": Field(8),
        "num_key_value_heads": Field(4),
        "head_dim": Field(256),
        "intermediate_size": Field(9216),
        "max_position_embeddings": Field(131072),
        "vocab_size": Field(262208),
        "rms_norm_eps": Field(1e-6),
        "query_pre_attn_scalar": Field(256),
        "layer_types": Field(None, or_else=_types_told, of=_types_here),
        "sliding_window": Field(4096),
        "sliding_window_pattern": _OF_LAYERS,
        "_sliding_window_pattern": _OF_LAYERS,
        "rope_theta": Field(1e6),
        "rope_local_base_freq": Field(1e4),
        # transformers 5 writes rope_parameters, older versions the bases beside the scaling of layers of the one kind.
        "rope_parameters": Nested(
            {
                FAR: Nested({"rope_theta": Field(name="rope_theta"), **_SCALING}),
                NEAR: Nested({"rope_theta": Field(name="rope_local_base_freq"), "rope_type": Only("default")}),
            }
        ),
        "rope_scaling": Nested(_SCALING),
        # A file without them has angles that are not scaled: what the rotation's settings lack.
        "rope_type": Field("default", of=_kind),
        "factor": Field(None, of=_factor),
        "tie_word_embeddings": Field(True),
        "hidden_activation": Only("gelu_pytorch_tanh"),
        "hidden_act": Only("gelu_pytorch_tanh", None),
        "attention_bias": Only(False),
        "attn_logit_softcapping": Only(None),
        "final_logit_softcapping": Only(None),
        "use_bidirectional_attention": Only(False, None),
        "attention_dropout": Ignored("dropout: of training"),
        "cache_implementation": Ignored("how PyTorch computes the same"),
    },
)
