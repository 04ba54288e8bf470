"""What each key of a config.json means for ResNet."""

from __future__ import annotations

from zoo.checkpoints.config_keys import ConfigKeys, Field, Ignored, Only

KEYS = ConfigKeys(
    "ResNetConfig",
    {
        "architectures": Only("ResNetForImageClassification", each=True),
        "model_type": Only("resnet"),
        "layer_type": Field("bottleneck"),
        "depths": Field([3, 4, 6, 3]),
        "hidden_sizes": Field([256, 512, 1024, 2048]),
        "embedding_size": Field(64),
        "num_channels": Field(3),
        "id2label": Field({"0": "LABEL_0", "1": "LABEL_1"}, count=True),
        "num_labels": Field(name="id2label", count=True),
        "label2id": Ignored("id2label the other way round"),
        "hidden_act": Only("relu"),
        "downsample_in_bottleneck": Only(False),  # True is v1
        "downsample_in_first_stage": Only(False),
        **dict.fromkeys(
            ("_out_features", "_out_indices", "out_features", "out_indices", "stage_names"),
            Ignored("which stages a backbone returns"),
        ),
    },
)
