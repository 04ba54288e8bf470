"""The MLPs as the zoo registers them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.mlp import params
from zoo.mlp.model import CONFIGS, MLP, SUM, MLPConfig
from zoo.mlp.reference import CASES
from zoo.mlp.sharding import INPUT, all_reduces, output_spec, param_specs
from zoo.registry import GoldenCase, Model, apply_as

if TYPE_CHECKING:
    from jax.sharding import Mesh


def weights(config: MLPConfig) -> dict[str, Any]:
    """The parameters that the golden of `config` was made with."""
    return params.recorded() if config is SUM else params.synthetic(config)


def _collectives(config: MLPConfig, mesh: Mesh, inputs: Any) -> dict[str, int]:
    return {"all-reduce": all_reduces(config, mesh.shape["model"])}


MODEL = Model(
    name="mlp",
    variants=CONFIGS,
    build=MLP,
    example=lambda config: {"x": np.zeros((8, config.widths[0]), np.float32)},
    forward=apply_as("output"),
    specs=lambda config, mesh: param_specs(config),
    input_specs=lambda config, mesh: {"x": INPUT},
    output_specs=lambda config, mesh: {"output": output_spec(config)},
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
    collectives=_collectives,
    cases={
        name: GoldenCase(variant=name, reference=CASES[name], weights=partial(weights, config))
        for name, config in CONFIGS.items()
    },
)
