"""The CNNs as the zoo registers them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from jax.sharding import PartitionSpec as P

from zoo.cnn import params
from zoo.cnn.model import BATCH, CNN, CONFIGS, DIGITS, CNNConfig
from zoo.cnn.reference import CASES
from zoo.registry import GoldenCase, Model, apply_as, images_of


def weights(config: CNNConfig) -> dict[str, Any]:
    """The parameters that the golden of `config` was made with."""
    return params.recorded() if config is DIGITS else params.synthetic(config)


MODEL = Model(
    name="cnn",
    variants=CONFIGS,
    build=CNN,
    example=lambda config: {"pixels": np.zeros((32, config.height, config.width, 1), np.float32)},
    forward=apply_as("logits"),
    specs=lambda config, mesh: P(),
    input_specs=lambda config, mesh: {"pixels": BATCH},
    output_specs=lambda config, mesh: {"logits": BATCH},
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
    work=images_of,
    cases={
        name: GoldenCase(variant=name, reference=CASES[name], weights=partial(weights, config))
        for name, config in CONFIGS.items()
    },
)
