"""CLIP's description for the registry."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.clip import config_keys, params, reference, sharding
from zoo.clip.model import BASE, CLIP, CONFIGS, PRECISION, TINY, forward
from zoo.registry import Architecture, Checkpoint, GoldenCase, Model, Sharding

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.clip.model import CLIPConfig


def example(config: CLIPConfig) -> dict[str, Any]:
    """Eight texts of twelve tokens, and as many black images."""
    ids = np.full((8, 12), config.end_of_text, np.int32)
    images = np.zeros((8, config.image_size, config.image_size, config.num_channels), np.float32)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "pixel_values": images}


def blocks(config: CLIPConfig) -> dict[str, str]:
    """Modules of ours, and those of CLIPModel that give the same."""
    text = {f"text/layer_{n}": f"text_model.encoder.layers.{n}" for n in range(config.text.num_hidden_layers)}
    vision = {f"vision/layer_{n}": f"vision_model.encoder.layers.{n}" for n in range(config.vision.num_hidden_layers)}
    return {
        **text,
        "text_projection": "text_projection",
        "vision/first_norm": "vision_model.pre_layrnorm",
        **vision,
        "vision/norm": "vision_model.post_layernorm",
        "vision_projection": "visual_projection",
    }


def small_images(config: CLIPConfig) -> CLIPConfig:
    """The whole model with images of 64 x 64: a golden has to be small."""
    return replace(config, image_size=64)


def mutants() -> Mutants:
    """What ``python -m zoo mutants clip`` tries."""
    from zoo.clip.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run clip`` shows."""
    from zoo.clip.demo import DEMO

    return DEMO


MODEL = Model(
    name="clip",
    variants=CONFIGS,
    architecture=Architecture(
        build=CLIP,
        forward=forward,
        example=example,
        helpers=("params/text/word/first_row",),
        precision=PRECISION,
    ),
    sharding=Sharding(
        meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
        param_specs=sharding.param_specs,
        input_specs=sharding.input_specs,
        output_specs=sharding.output_specs,
        fit=sharding.fit,
        prepare=sharding.prepare,
        collectives=sharding.collectives,
        card_collectives=sharding.card_collectives,
    ),
    checkpoint=Checkpoint(
        sources=params.SOURCES,
        key_map=params.key_map,
        synthetic=params.synthetic_checkpoint,
        hub_config=params.hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
    goldens={
        "tiny": GoldenCase(
            variant=TINY.name,
            reference=partial(reference.golden, TINY),
            weights=params.synthetic_params,
            quick=("2x4",),
        ),
        "base": GoldenCase(
            variant=BASE.name,
            cut=small_images,
            reference=partial(reference.golden, small_images(BASE)),
            weights=params.synthetic_params,
            quick=(),
        ),
    },
    mutants=mutants,
    demo=demo,
)
