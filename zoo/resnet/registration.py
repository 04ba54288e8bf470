"""The description of ResNet that the zoo works from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zoo.checkpoints.hub import Source
from zoo.registry import FEW, Architecture, Checkpoint, GoldenCase, Model, Sharding, apply_as, images_of
from zoo.resnet import config_keys, reference
from zoo.resnet.model import CONFIGS, PRECISION, ResNet
from zoo.resnet.params import (
    example,
    hub_config,
    key_map,
    rounded_params,
    synthetic_checkpoint,
    synthetic_params,
    usual,
)
from zoo.resnet.sharding import input_specs, output_specs, param_specs

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.resnet.model import ResNetConfig

MESHES = ("1x1", "1x2", "1x4", "1x8", "2x4", "8x4")

QUICK: dict[str, tuple[str, ...]] = {
    "tiny": FEW,
    "tiny-basic": FEW,
    "resnet-18": ("1x2",),
    "resnet-34": (),
    "resnet-50": (),
    "resnet-101": (),
    "resnet-152": (),
}
"""Meshes of a usual run of the tests, of the goldens that take long."""


def blocks(config: ResNetConfig) -> dict[str, str]:
    """Modules of ours, and those of ResNetForImageClassification that give the same."""
    found = {"stem": "resnet.embedder.embedder"}
    convolutions = 3 if config.layer_type == "bottleneck" else 2
    for stage, depth in enumerate(config.depths):
        for layer in range(depth):
            ours, theirs = f"stage_{stage}_layer_{layer}", f"resnet.encoder.stages.{stage}.layers.{layer}"
            found |= {f"{ours}/conv_{index}": f"{theirs}.layer.{index}" for index in range(convolutions)}
            found[ours] = theirs
    return found | {"classifier": "classifier"}


def mutants() -> Mutants:
    """What ``python -m zoo mutants resnet`` tries."""
    from zoo.resnet.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run resnet`` shows."""
    from zoo.resnet.demo import DEMO

    return DEMO


MODEL = Model(
    name="resnet",
    variants=CONFIGS,
    architecture=Architecture(
        build=ResNet,
        forward=apply_as("logits"),
        example=example,
        usual=usual,
        precision=PRECISION,
        work=images_of,
    ),
    sharding=Sharding(
        meshes=MESHES,
        param_specs=param_specs,
        input_specs=input_specs,
        output_specs=output_specs,
    ),
    checkpoint=Checkpoint(
        # The commits of the others are not known here; give their files by directory.
        sources={
            "resnet-18": Source("microsoft/resnet-18", "65a5785d9156231087c481e0c7dd33a5ff6f7e3e"),
            "resnet-50": Source("microsoft/resnet-50", "34c2154c194f829b11125337b98c8f5f9965ff19"),
        },
        key_map=key_map,
        synthetic=synthetic_checkpoint,
        hub_config=hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
    goldens={
        **{
            variant: GoldenCase(
                variant=variant,
                reference=partial(reference.golden, variant),
                weights=synthetic_params,
                # A golden has to be small, so its batch is: it must divide by the chips.
                meshes=None if batch % 32 == 0 else MESHES[:-1],
                quick=QUICK.get(variant),
            )
            for variant, (batch, _, _) in reference.IMAGES.items()
        },
        "bfloat16": GoldenCase(
            variant="tiny",
            reference=partial(reference.golden, "tiny", bfloat16=True),
            weights=rounded_params,
            meshes=("1x2", "1x8"),
        ),
        # Not of the net but of the images before it: test_images.py compares them, on no chips at all.
        "preparation": GoldenCase(
            variant="resnet-50", reference=reference.preparation_golden, weights=lambda config: {}, meshes=()
        ),
    },
    mutants=mutants,
    demo=demo,
)
