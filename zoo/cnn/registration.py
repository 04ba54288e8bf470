"""The CNNs as the zoo registers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.cnn import params, sharding
from zoo.cnn.model import CNN, CONFIGS
from zoo.cnn.reference import CASES
from zoo.registry import Architecture, GoldenCase, Model, Sharding, apply_as, images_of

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants


def mutants() -> Mutants:
    """What ``python -m zoo.authoring.mutation cnn`` tries."""
    from zoo.cnn.mutants import MUTANTS

    return MUTANTS


MODEL = Model(
    name="cnn",
    variants=CONFIGS,
    architecture=Architecture(
        build=CNN,
        forward=apply_as("logits"),
        example=lambda config: {"pixels": np.zeros((32, config.height, config.width, 1), np.float32)},
        work=images_of,
    ),
    sharding=Sharding(
        meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
        param_specs=sharding.param_specs,
        input_specs=sharding.input_specs,
        output_specs=sharding.output_specs,
    ),
    goldens={
        name: GoldenCase(variant=name, reference=CASES[name], weights=params.golden_params)
        for name, config in CONFIGS.items()
    },
    mutants=mutants,
)
