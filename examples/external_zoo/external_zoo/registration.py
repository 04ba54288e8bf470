"""The Mixer's description for pytest-tt's zoo."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from external_zoo.model import CONFIGS, TINY, Mixer
from external_zoo.reference import golden, synthetic_params
from external_zoo.sharding import collectives, input_specs, output_specs, param_specs
from zoo.registry import GoldenCase, Model, apply_as

MODEL = Model(
    name="external_mixer",
    variants=CONFIGS,
    build=Mixer,
    example=lambda config: {"images": np.zeros((8, config.image_size, config.image_size, 3), np.float32)},
    forward=apply_as("logits"),
    specs=param_specs,
    input_specs=input_specs,
    output_specs=output_specs,
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4"),
    collectives=collectives,
    cases={"tiny": GoldenCase(variant="tiny", reference=golden, weights=lambda: synthetic_params(TINY))},
    folder=Path(__file__).parent,
    mutants="external_zoo.mutants",
)
