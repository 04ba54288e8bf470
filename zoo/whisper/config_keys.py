"""What each key of a config.json means for Whisper."""

from __future__ import annotations

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Only

KEYS = ConfigKeys(
    "WhisperConfig",
    {
        "architectures": Only("WhisperForConditionalGeneration", each=True),
        "model_type": Only("whisper"),
        "vocab_size": Field(51865),
        "num_mel_bins": Field(80),
        "d_model": Field(384),
        "encoder_layers": Field(4),
        "encoder_attention_heads": Field(6),
        "encoder_ffn_dim": Field(1536),
        "decoder_layers": Field(4),
        "decoder_attention_heads": Field(6),
        "decoder_ffn_dim": Field(1536),
        "max_source_positions": Field(1500),
        "max_target_positions": Field(448),
        # Other names by which transformers' class knows the same.
        "hidden_size": Field(name="d_model"),
        "num_hidden_layers": Field(name="encoder_layers"),
        "num_attention_heads": Field(name="encoder_attention_heads"),
        "num_key_value_heads": Field(name="encoder_attention_heads"),
        "activation_function": Only("gelu"),
        "scale_embedding": Only(False),
        "tie_word_embeddings": Only(True),
        "is_encoder_decoder": Only(True),
        "forced_decoder_ids": Ignored("what a text begins with: generation_config.json says it, which `run` reads"),
        "median_filter_width": Ignored("of timestamps by attention, which are not computed"),
        **dict.fromkeys(
            ("classifier_proj_size", "use_weighted_layer_sum"),
            Ignored("of the head of WhisperForAudioClassification, whose tensors the key map refuses"),
        ),
        **dict.fromkeys(
            (
                "apply_spec_augment",
                "mask_feature_length",
                "mask_feature_min_masks",
                "mask_feature_prob",
                "mask_time_length",
                "mask_time_min_masks",
                "mask_time_prob",
            ),
            Ignored("masks parts of the spectrogram in training"),
        ),
        **dict.fromkeys(
            ("activation_dropout", "attention_dropout", "decoder_layerdrop", "dropout", "encoder_layerdrop"),
            Ignored("dropout: of training"),
        ),
        "init_std": Ignored("how the model was initialised"),
    },
)
