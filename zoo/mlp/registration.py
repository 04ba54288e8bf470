"""The MLPs as the zoo registers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.mlp import params, sharding
from zoo.mlp.model import CONFIGS, MLP
from zoo.mlp.reference import CASES
from zoo.registry import Architecture, GoldenCase, Model, Sharding, apply_as

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants


def mutants() -> Mutants:
    """What ``python -m zoo.authoring.mutation mlp`` tries."""
    from zoo.mlp.mutants import MUTANTS

    return MUTANTS


MODEL = Model(
    name="mlp",
    variants=CONFIGS,
    architecture=Architecture(
        build=MLP,
        forward=apply_as("output"),
        example=lambda config: {"x": np.zeros((8, config.widths[0]), np.float32)},
    ),
    sharding=Sharding(
        meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
        param_specs=sharding.param_specs,
        input_specs=sharding.input_specs,
        output_specs=sharding.output_specs,
        collectives=sharding.collectives,
    ),
    goldens={
        name: GoldenCase(variant=name, reference=CASES[name], weights=params.golden_params)
        for name, config in CONFIGS.items()
    },
    mutants=mutants,
)
