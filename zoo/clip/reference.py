"""The independent reference: transformers' CLIPModel in PyTorch, float32, eager attention.

It loads the very checkpoint that the zoo's loader reads. What computes it needs the extra ``reference``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import integers, uniform
from zoo.clip import params
from zoo.references.huggingface import loaded_model, made_by, outputs_of

if TYPE_CHECKING:
    from zoo.clip.model import CLIPConfig

ROWS, TOKENS = 8, 12
"""Texts, and as many images; tokens of the longest text, its end among them."""

OUTPUTS = ("logits_per_image", "image_embeds", "text_embeds")


def made_up_inputs(config: CLIPConfig) -> dict[str, np.ndarray]:
    """Random images, and random texts of 3 to 12 tokens.

    Behind a text stand tokens that end texts, which the published tokenizer pads with, and behind the second one
    others: the mask and the first end alone must say what counts.
    """
    name, end = f"clip/{config.name}/input", config.end_of_text
    lengths = TOKENS - integers(f"{name}/padding", (ROWS, 1), TOKENS - 3)
    lengths[0] = TOKENS
    mask = np.arange(TOKENS)[None, :] < lengths
    ids = np.where(mask, integers(f"{name}/ids", (ROWS, TOKENS), end), end)
    ids[np.arange(ROWS), lengths[:, 0] - 1] = end
    ids[1] = np.where(mask[1], ids[1], 3)
    shape = (ROWS, config.image_size, config.image_size, config.num_channels)
    return {
        "input_ids": ids.astype(np.int32),
        "attention_mask": mask.astype(np.int32),
        "pixel_values": uniform(f"{name}/images", shape),
    }


def run(config: CLIPConfig, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of the made-up checkpoint, as ``zoo.clip.model.CLIP`` names them."""
    model = loaded_model("CLIPModel", params.synthetic_checkpoint(config), params.hub_config(config))
    return outputs_of(model, inputs, OUTPUTS)


def golden(config: CLIPConfig) -> Golden:
    """The golden of one variant, computed now."""
    inputs = made_up_inputs(config)
    weights = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config))}
    info = made_by("clip", config.name, "transformers CLIPModel, float32, eager attention", weights)
    return Golden(inputs=inputs, outputs=run(config, inputs), info={**info, "dtype": "float32"})
