"""``python -m zoo run resnet``: what is in a picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import jax

from zoo.cli.demo import Demo, Shown, Stage, measured, refused, whole_number
from zoo.resnet.classify import Classifier
from zoo.vision.labels import image_of, labelled

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the demo takes."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image file (.npy: uint8 [h, w, 3])")
    parser.add_argument("--top", type=whole_number(1), default=5, help="how many labels of each (default: 5)")


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and label the images."""
    images = [image_of(path) for path in options.images]
    directory, mesh = stage.directory, stage.mesh
    start = time.perf_counter()
    with refused(ValueError):
        classifier = Classifier.load(directory, mesh)
    stage.has_loaded(jax.block_until_ready(classifier.params), time.perf_counter() - start)
    with refused(ModuleNotFoundError):
        guesses = measured(lambda: classifier(images, options.top))
    preparing = measured(lambda: [classifier.preparation(image) for image in images], rounds=2)
    return Shown(
        text=labelled(options.images, guesses.result),
        compile_s=guesses.compile_s,
        run_s=guesses.run_s,
        run_of=f"{len(images)} image{'s' * (len(images) > 1)}, with preparing them",
        notes={"preparing": f"{preparing.run_s * 1e3:,.1f} ms of that, on the host"},
        rate=len(images) / guesses.run_s,
        unit="images",
    )


DEMO = Demo(
    summary="ResNet: the likeliest labels of images.",
    variant="resnet-50",
    arguments=arguments,
    run=run,
)
