"""What each key of a config.json means for GPT-2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Only

if TYPE_CHECKING:
    from collections.abc import Mapping


def _four_times_as_wide(content: Mapping[str, Any]) -> int:
    return 4 * int(content.get("n_embd", 768))


_SUMMARY = Ignored("of the head of GPT2DoubleHeadsModel, whose tensors the key map refuses")

KEYS = ConfigKeys(
    "GPT2Config",
    {
        "architectures": Only("GPT2LMHeadModel", "GPT2Model", each=True),
        "model_type": Only("gpt2"),
        "n_layer": Field(12),
        "n_embd": Field(768),
        "n_head": Field(12),
        "n_inner": Field(None, or_else=_four_times_as_wide),
        "n_positions": Field(1024),
        "vocab_size": Field(50257),
        "layer_norm_epsilon": Field(1e-5),
        # Other names by which transformers' class knows the same.
        "num_hidden_layers": Field(name="n_layer"),
        "hidden_size": Field(name="n_embd"),
        "num_attention_heads": Field(name="n_head"),
        "max_position_embeddings": Field(name="n_positions"),
        "activation_function": Only("gelu_new"),
        "scale_attn_weights": Only(True),
        "scale_attn_by_inverse_layer_idx": Only(False),
        "tie_word_embeddings": Only(True),
        "reorder_and_upcast_attn": Ignored("the same scores by another order of products, in float32 as here"),
        "n_ctx": Ignored("size of the causal mask that old versions stored"),
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), Ignored("dropout: of training")),
        **dict.fromkeys(
            (
                "summary_activation",
                "summary_first_dropout",
                "summary_proj_to_labels",
                "summary_type",
                "summary_use_proj",
            ),
            _SUMMARY,
        ),
        "n_special": Only(0),  # more rows of the embedding, in the first versions
        "predict_special_tokens": Ignored("of training, in the first versions"),
    },
)
