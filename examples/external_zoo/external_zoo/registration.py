"""The Mixer's description for pytest-tt's zoo."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from external_zoo.model import CONFIGS, TINY, Mixer
from external_zoo.reference import golden, weights
from external_zoo.sharding import ROWS, collectives, param_specs
from zoo.registry import GoldenCase, Model, apply_as

MODEL = Model(
    name="external_mixer",
    variants=CONFIGS,
    build=Mixer,
    example=lambda config: {"images": np.zeros((8, config.image, config.image, 3), np.float32)},
    forward=apply_as("logits"),
    specs=lambda config, mesh: param_specs(config),
    input_specs=lambda config, mesh: {"images": ROWS},
    output_specs=lambda config, mesh: {"logits": ROWS},
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4"),
    collectives=lambda config, mesh, inputs: collectives(config, mesh),
    cases={"tiny": GoldenCase(variant="tiny", reference=golden, weights=lambda: weights(TINY))},
    folder=Path(__file__).parent,
    mutants="external_zoo.mutants",
)
