"""The CNNs as the zoo registers them."""

from __future__ import annotations

from functools import partial

import numpy as np

from zoo.cnn import params, sharding
from zoo.cnn.model import CNN, CONFIGS
from zoo.cnn.reference import CASES
from zoo.registry import GoldenCase, Model, apply_as, images_of

MODEL = Model(
    name="cnn",
    variants=CONFIGS,
    build=CNN,
    example=lambda config: {"pixels": np.zeros((32, config.height, config.width, 1), np.float32)},
    forward=apply_as("logits"),
    specs=sharding.param_specs,
    input_specs=sharding.input_specs,
    output_specs=sharding.output_specs,
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
    work=images_of,
    cases={
        name: GoldenCase(variant=name, reference=CASES[name], weights=partial(params.golden_params, config))
        for name, config in CONFIGS.items()
    },
)
