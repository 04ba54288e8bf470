"""``python -m zoo run vit``: what is in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.checkpoints.config_keys import CONFIG, read_config
from zoo.cli.demo import Demo, DemoError, Shown, Stage, refused, whole_number
from zoo.cli.output import output_of
from zoo.vision.images import preparation_of
from zoo.vision.labels import image_of, labelled, read_labels, top
from zoo.vit.model import BASE

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the demo takes."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image file (.npy: uint8 [h, w, 3])")
    parser.add_argument("--top", type=whole_number(1), default=5, help="how many labels of each (default: 5)")


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and label the images."""
    images = [image_of(path) for path in options.images]
    directory, config, mesh = stage.directory, stage.config, stage.mesh
    with refused(ValueError):
        labels = read_labels(read_config(directory / CONFIG))
        preparation = preparation_of(directory, "ViT")
    if preparation.size != config.image_size:
        raise DemoError(
            f"{directory}: images are prepared to {preparation.size} pixels, {stage.variant} takes {config.image_size}"
        )
    with refused(ModuleNotFoundError):
        prepared = [preparation(image) for image in images]
    prepared += prepared[-1:] * (-len(prepared) % mesh.shape["batch"])  # each chip has as many as the others
    found = output_of(stage, config, {"pixel_values": np.stack(prepared)}, "logits")
    guesses = top(found.result[: len(images)], labels, options.top)
    return Shown(
        text=labelled(options.images, guesses),
        compile_s=found.compile_s,
        run_s=found.run_s,
        run_of=f"{len(images)} image{'s' * (len(images) > 1)}",
        rate=len(images) / found.run_s,
        unit="images",
    )


DEMO = Demo(
    summary="ViT: the likeliest labels of images.",
    variant=BASE.name,
    arguments=arguments,
    run=run,
)
