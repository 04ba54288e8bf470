"""What each key of a config.json means for BERT."""

from __future__ import annotations

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Only, untied_without

KEYS = ConfigKeys(
    "BertConfig",
    {
        "architectures": Only(
            "BertForMaskedLM", "BertForPreTraining", "BertForNextSentencePrediction", "BertModel", each=True
        ),
        "model_type": Only("bert"),
        "num_hidden_layers": Field(12),
        "hidden_size": Field(768),
        "num_attention_heads": Field(12),
        "intermediate_size": Field(3072),
        "max_position_embeddings": Field(512),
        "type_vocab_size": Field(2),
        "vocab_size": Field(30522),
        "layer_norm_eps": Field(1e-12),
        "hidden_act": Only("gelu"),
        "position_embedding_type": Only("absolute"),
        "tie_word_embeddings": Ignored("a decoder that is stored must be the word embeddings"),
        **dict.fromkeys(
            ("attention_probs_dropout_prob", "classifier_dropout", "hidden_dropout_prob"),
            Ignored("dropout: of training"),
        ),
        **dict.fromkeys(
            (
                "directionality",
                "pooler_fc_size",
                "pooler_num_attention_heads",
                "pooler_num_fc_layers",
                "pooler_size_per_head",
                "pooler_type",
            ),
            Ignored("left over from TensorFlow's checkpoints: transformers never read it"),
        ),
    },
    lacking=untied_without("cls.predictions.decoder.weight", "cls.predictions."),
)
