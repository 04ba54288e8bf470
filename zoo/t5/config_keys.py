"""What each key of a config.json means for T5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Only, same_as, untied_without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.t5.model import T5Config


def _as_tied(content: Mapping[str, Any]) -> bool:
    """The first T5 scaled what the head gets and tied it to the words; transformers tells it by that key alone."""
    return content.get("tie_word_embeddings") is not False


def _not_scaled(config: T5Config) -> bool:
    return False


def _activation_of(content: Mapping[str, Any]) -> str:
    told = str(content.get("feed_forward_proj", "relu"))
    return "gelu_new" if told == "gated-gelu" else told.split("-")[-1]


def _gated_in(content: Mapping[str, Any]) -> bool:
    return str(content.get("feed_forward_proj", "relu")).startswith("gated-")


def _activation(config: T5Config) -> str:
    return "gelu_new"


def _gated(config: T5Config) -> bool:
    return True


KEYS = ConfigKeys(
    "T5Config",
    {
        "architectures": Only("T5ForConditionalGeneration", each=True),
        "model_type": Only("t5"),
        "vocab_size": Field(32128),
        "d_model": Field(512),
        "d_kv": Field(64),
        "d_ff": Field(2048),
        "num_layers": Field(6),
        "num_decoder_layers": Field(None, or_else=same_as("num_layers", 6)),
        "num_heads": Field(8),
        "relative_attention_num_buckets": Field(32),
        "relative_attention_max_distance": Field(128),
        "layer_norm_epsilon": Field(1e-06),
        "feed_forward_proj": Field("relu"),
        # Other names by which transformers' class knows the same.
        "hidden_size": Field(name="d_model"),
        "num_attention_heads": Field(name="num_heads"),
        "num_hidden_layers": Field(name="num_layers"),
        "head_dim": Field(name="d_kv"),
        # What transformers works out of the keys above, and writes down.
        "dense_act_fn": Field(None, or_else=_activation_of, of=_activation),
        "is_gated_act": Field(None, or_else=_gated_in, of=_gated),
        "scale_decoder_outputs": Field(None, or_else=_as_tied, of=_not_scaled),
        "tie_word_embeddings": Ignored(
            "a head that is stored is used, whatever this says; without one that is said to be untied, or with outputs "
            "scaled as the first T5 did, the checkpoint is refused"
        ),
        "is_encoder_decoder": Only(True),
        "decoder_start_token_id": Only(0, None),
        "pad_token_id": Only(0, None),
        "n_positions": Ignored("the length of texts in training: distances are all that the model knows of positions"),
        **dict.fromkeys(("classifier_dropout", "dropout_rate"), Ignored("dropout: of training")),
        "initializer_factor": Ignored("how the model was initialised"),
    },
    lacking=untied_without("lm_head.weight", "decoder."),
)
