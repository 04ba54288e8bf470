"""``python -m zoo run resnet``: what is in a picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import jax

from zoo.cli.demo import Demo, DemoError, Shown, Stage, measured, refused, whole_number
from zoo.cli.table import percent, table
from zoo.resnet.classify import Classifier, Guess
from zoo.vision.images import read_image

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy as np


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the demo takes."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image file (.npy: uint8 [h, w, 3])")
    parser.add_argument("--top", type=whole_number(1), default=5, help="how many labels of each (default: 5)")


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and label the images."""
    images = [_read(path) for path in options.images]
    directory, mesh = stage.directory, stage.mesh
    start = time.perf_counter()
    with refused(ValueError):
        classifier = Classifier.load(directory, mesh)
    stage.has_loaded(jax.block_until_ready(classifier.params), time.perf_counter() - start)
    with refused(ModuleNotFoundError):
        guesses = measured(lambda: classifier(images, options.top))
    preparing = measured(lambda: [classifier.preparation(image) for image in images], rounds=2)
    return Shown(
        text=_labelled(options.images, guesses.result),
        compile_s=guesses.compile_s,
        run_s=guesses.run_s,
        run_of=f"{len(images)} image{'s' * (len(images) > 1)}, with preparing them",
        notes={"preparing": f"{preparing.run_s * 1e3:,.1f} ms of that, on the host"},
        rate=len(images) / guesses.run_s,
        unit="images",
    )


def _read(path: Path) -> np.ndarray:
    """The image in `path`. DemoError if it cannot be read."""
    if not path.is_file():
        raise DemoError(f"{path}: no such file; expected an image")
    try:
        with refused(ModuleNotFoundError):
            image = read_image(path)
    except (ValueError, OSError, EOFError, SyntaxError) as error:  # the latter from some of Pillow's formats
        reason = " ".join(str(error).split())
        raise DemoError(reason if str(path) in reason else f"{path}: cannot be read ({reason})") from None
    if 0 in image.shape:
        raise DemoError(f"{path}: an image of {image.shape[1]}x{image.shape[0]} pixels: expected at least 1x1")
    return image


def _labelled(paths: Sequence[Path], guesses: Sequence[Sequence[Guess]]) -> str:
    blocks = []
    for path, best in zip(paths, guesses, strict=True):
        rows = [(guess.label, percent(guess.probability)) for guess in best]
        lines = table(rows, right=(1,)).splitlines()
        blocks.append("\n".join([str(path), *(f"    {line}" for line in lines)]))
    return "\n\n".join(blocks)


DEMO = Demo(
    summary="ResNet: the likeliest labels of images.",
    variant="resnet-50",
    arguments=arguments,
    run=run,
)
