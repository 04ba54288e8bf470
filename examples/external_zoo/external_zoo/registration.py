"""The Mixer's description for pytest-tt's zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from external_zoo.model import CONFIGS, Mixer
from external_zoo.reference import golden, synthetic_params
from external_zoo.sharding import collectives, input_specs, output_specs, param_specs
from zoo.registry import Architecture, GoldenCase, Model, Sharding, apply_as

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants


def mutants() -> Mutants:
    """What ``python -m zoo.authoring.mutation external_mixer`` tries; imported when it is asked for."""
    from external_zoo.mutants import MUTANTS

    return MUTANTS


MODEL = Model(
    name="external_mixer",
    variants=CONFIGS,
    architecture=Architecture(
        build=Mixer,
        forward=apply_as("logits"),
        example=lambda config: {"images": np.zeros((8, config.image_size, config.image_size, 3), np.float32)},
    ),
    sharding=Sharding(
        meshes=("1x1", "1x2", "1x4", "1x8", "2x4"),
        param_specs=param_specs,
        input_specs=input_specs,
        output_specs=output_specs,
        collectives=collectives,
    ),
    goldens={"tiny": GoldenCase(variant="tiny", reference=golden, weights=synthetic_params)},
    mutants=mutants,
    folder=Path(__file__).parent,
)
