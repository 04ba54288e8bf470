"""What each key of a config.json means for ViT."""

from __future__ import annotations

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Only

KEYS = ConfigKeys(
    "ViTConfig",
    {
        "architectures": Only("ViTForImageClassification", each=True),
        "model_type": Only("vit"),
        "hidden_size": Field(768),
        "num_hidden_layers": Field(12),
        "num_attention_heads": Field(12),
        "intermediate_size": Field(3072),
        "layer_norm_eps": Field(1e-12),
        "image_size": Field(224),
        "patch_size": Field(16),
        "num_channels": Field(3),
        "id2label": Field({"0": "LABEL_0", "1": "LABEL_1"}, count=True),
        "num_labels": Field(name="id2label", count=True),
        "label2id": Ignored("id2label the other way round"),
        "hidden_act": Only("gelu"),
        "qkv_bias": Only(True),
        "encoder_stride": Ignored("of the decoder of masked images, whose tensors the key map refuses"),
        **dict.fromkeys(
            ("pooler_act", "pooler_output_size"),
            Ignored("of a pooler, which labels do not need; its tensors are refused"),
        ),
        **dict.fromkeys(("attention_probs_dropout_prob", "hidden_dropout_prob"), Ignored("dropout: of training")),
    },
)
