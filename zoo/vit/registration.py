"""ViT's description for the registry."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.registry import FEW, Architecture, Checkpoint, GoldenCase, Model, Sharding, apply_as, images_of
from zoo.vit import config_keys, params, reference, sharding
from zoo.vit.model import BASE, CONFIGS, PRECISION, TINY, ViT

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.vit.model import ViTConfig


def example(config: ViTConfig) -> dict[str, Any]:
    """Eight black images."""
    return {"pixel_values": np.zeros((8, config.image_size, config.image_size, config.num_channels), np.float32)}


def blocks(config: ViTConfig) -> dict[str, str]:
    """Modules of ours, and those of ViTForImageClassification that give the same."""
    layers = {f"layer_{index}": f"vit.layers.{index}" for index in range(config.num_hidden_layers)}
    return {**layers, "classifier": "classifier"}


def small_images(config: ViTConfig) -> ViTConfig:
    """The whole model with images of 64 x 64: a golden has to be small."""
    return replace(config, image_size=64)


def mutants() -> Mutants:
    """What ``python -m zoo mutants vit`` tries."""
    from zoo.vit.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run vit`` shows."""
    from zoo.vit.demo import DEMO

    return DEMO


MODEL = Model(
    name="vit",
    variants=CONFIGS,
    architecture=Architecture(
        build=ViT,
        forward=apply_as("logits"),
        example=example,
        layer="layer_",
        precision=PRECISION,
        work=images_of,
    ),
    sharding=Sharding(
        meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
        param_specs=sharding.param_specs,
        input_specs=sharding.input_specs,
        output_specs=sharding.output_specs,
        fit=sharding.fit,
        prepare=sharding.prepare,
        collectives=sharding.collectives,
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
            quick=FEW,
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
