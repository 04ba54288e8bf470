"""The independent reference: transformers' ViTForImageClassification in PyTorch, float32, eager attention.

It loads the very checkpoint that the zoo's loader reads. What computes it needs the extra ``reference``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import uniform
from zoo.references.huggingface import loaded_model, made_by, outputs_of
from zoo.vit import params

if TYPE_CHECKING:
    import numpy as np

    from zoo.vit.model import ViTConfig

IMAGES = 8


def made_up_inputs(config: ViTConfig) -> dict[str, np.ndarray]:
    """Random images."""
    shape = (IMAGES, config.image_size, config.image_size, config.num_channels)
    return {"pixel_values": uniform(f"vit/{config.name}/input", shape)}


def run(config: ViTConfig, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of the made-up checkpoint, as ``zoo.vit.model.ViT`` names them."""
    model = loaded_model("ViTForImageClassification", params.synthetic_checkpoint(config), params.hub_config(config))
    return outputs_of(model, inputs, ("logits",))


def golden(config: ViTConfig) -> Golden:
    """The golden of one variant, computed now."""
    inputs = made_up_inputs(config)
    weights = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config))}
    info = made_by("vit", config.name, "transformers ViTForImageClassification, float32, eager attention", weights)
    return Golden(inputs=inputs, outputs=run(config, inputs), info={**info, "dtype": "float32"})
