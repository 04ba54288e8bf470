"""The MLPs as the zoo registers them."""

from __future__ import annotations

from functools import partial

import numpy as np

from zoo.mlp import params, sharding
from zoo.mlp.model import CONFIGS, MLP
from zoo.mlp.reference import CASES
from zoo.registry import GoldenCase, Model, apply_as

MODEL = Model(
    name="mlp",
    variants=CONFIGS,
    build=MLP,
    example=lambda config: {"x": np.zeros((8, config.widths[0]), np.float32)},
    forward=apply_as("output"),
    specs=sharding.param_specs,
    input_specs=sharding.input_specs,
    output_specs=sharding.output_specs,
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
    collectives=sharding.collectives,
    cases={
        name: GoldenCase(variant=name, reference=CASES[name], weights=partial(params.golden_params, config))
        for name, config in CONFIGS.items()
    },
)
