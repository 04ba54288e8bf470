"""What each key of a config.json means for DistilBERT."""

from __future__ import annotations

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Only, untied_without

KEYS = ConfigKeys(
    "DistilBertConfig",
    {
        "architectures": Only("DistilBertForMaskedLM", each=True),
        "model_type": Only("distilbert"),
        "n_layers": Field(6),
        "dim": Field(768),
        "n_heads": Field(12),
        "hidden_dim": Field(3072),
        "max_position_embeddings": Field(512),
        "vocab_size": Field(30522),
        # Other names by which transformers' class knows the same.
        "num_hidden_layers": Field(name="n_layers"),
        "hidden_size": Field(name="dim"),
        "num_attention_heads": Field(name="n_heads"),
        "activation": Only("gelu"),
        "sinusoidal_pos_embds": Ignored("how positions are initialised: they are stored all the same"),
        **dict.fromkeys(
            ("tie_weights_", "tie_word_embeddings"), Ignored("a decoder that is stored must be the word embeddings")
        ),
        **dict.fromkeys(
            ("attention_dropout", "dropout", "qa_dropout", "seq_classif_dropout"), Ignored("dropout: of training")
        ),
    },
    lacking=untied_without("vocab_projector.weight", "vocab_"),
)
