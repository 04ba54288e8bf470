"""``python -m zoo run clip``: which text fits a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.cli.demo import Demo, DemoError, Shown, Stage, refused, whole_number
from zoo.cli.output import output_of
from zoo.clip.model import BASE
from zoo.text.fill_mask import inputs_of
from zoo.text.tokenizer import TokenizerError, read_tokenizer
from zoo.vision.images import preparation_of
from zoo.vision.labels import image_of, labelled, top

if TYPE_CHECKING:
    import argparse

TEXTS = tuple(f"a photo of {what}" for what in ("a cat", "a dog", "a person", "a house", "food", "a landscape"))
"""Texts to choose from, where none are given."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the demo takes."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image file (.npy: uint8 [h, w, 3])")
    parser.add_argument(
        "--text", action="append", default=[], metavar="TEXT", help="a text to choose from (default: some of ours)"
    )
    parser.add_argument("--top", type=whole_number(1), default=5, help="how many texts for each image (default: 5)")


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and find the texts that fit the images."""
    images, texts = [image_of(path) for path in options.images], tuple(options.text) or TEXTS
    directory, config = stage.directory, stage.config
    with refused(ValueError):
        preparation = preparation_of(directory, "CLIP")
    if preparation.size != config.image_size:
        raise DemoError(
            f"{directory}: images are prepared to {preparation.size} pixels, {stage.variant} takes {config.image_size}"
        )
    with refused(TokenizerError):
        tokenizer = read_tokenizer(directory)
    inputs = inputs_of(stage, config, tokenizer, texts)
    for number, ids in enumerate(inputs["input_ids"][: len(texts)], 1):
        if config.end_of_text not in ids:
            raise DemoError(f"{directory}: its tokenizer does not end text {number} with token {config.end_of_text}")
    with refused(ModuleNotFoundError):
        prepared = [preparation(image) for image in images]
    prepared += prepared[-1:] * (-len(prepared) % stage.mesh.shape["batch"])  # each chip has as many as the others
    found = output_of(stage, config, {**inputs, "pixel_values": np.stack(prepared)}, "logits_per_image")
    guesses = top(found.result[: len(images), : len(texts)], texts, options.top)
    return Shown(
        text=labelled(options.images, guesses),
        compile_s=found.compile_s,
        run_s=found.run_s,
        run_of=f"{len(images)} image{'s' * (len(images) > 1)} with {len(texts)} text{'s' * (len(texts) > 1)}",
        rate=len(images) / found.run_s,
        unit="images",
    )


DEMO = Demo(
    summary="CLIP: which of some texts fits an image.",
    variant=BASE.name,
    arguments=arguments,
    run=run,
)
