"""What each key of a config.json means for CLIP."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_keys import COMMON, ConfigKeys, Field, Ignored, Nested, Only

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = {key: verdict for key, verdict in COMMON.items() if not isinstance(verdict, Nested)}


def _tower(name: str, defaults: Mapping[str, Any], own: Mapping[str, Field | Only | Ignored]) -> Nested:
    """The settings of a tower: `defaults` of transformers' class by key, and keys of its `own`."""
    return Nested(
        {
            **_PLAIN,
            **{key: Field(default, of=attrgetter(f"{name}.{key}")) for key, default in defaults.items()},
            "hidden_act": Only("quick_gelu"),
            "projection_dim": Ignored("of a tower that is saved alone: the model's own counts"),
            **dict.fromkeys(("attention_dropout", "dropout"), Ignored("dropout: of training")),
            "initializer_factor": Ignored("how the model was initialised"),
            **own,
        }
    )


_TEXT = _tower(
    "text",
    {
        "hidden_size": 512,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "intermediate_size": 2048,
        "layer_norm_eps": 1e-5,
    },
    {
        "model_type": Only("clip_text_model"),
        "vocab_size": Field(49408, of=attrgetter("vocab_size")),
        "max_position_embeddings": Field(77, of=attrgetter("max_position_embeddings")),
        # 2 stands for the largest number of a text, which is the same: the last token of the vocabulary.
        "eos_token_id": Only(2, 49407),
    },
)
_VISION = _tower(
    "vision",
    {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "layer_norm_eps": 1e-5,
    },
    {
        "model_type": Only("clip_vision_model"),
        "image_size": Field(224, of=attrgetter("image_size")),
        "patch_size": Field(32, of=attrgetter("patch_size")),
        "num_channels": Field(3, of=attrgetter("num_channels")),
    },
)

KEYS = ConfigKeys(
    "CLIPConfig",
    {
        "architectures": Only("CLIPModel", each=True),
        "model_type": Only("clip"),
        "projection_dim": Field(512),
        "text_config": _TEXT,
        "text_config_dict": _TEXT,  # where transformers finds it, it replaces text_config, with its class's defaults
        "vision_config": _VISION,
        "vision_config_dict": _VISION,
        "logit_scale_init_value": Ignored("how the scale was initialised: it is stored"),
        "initializer_factor": Ignored("how the model was initialised"),
    },
)
