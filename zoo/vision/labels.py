"""Labels of images: those of a checkpoint, the likeliest of each image, and how a demo shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_tt.text import percent, table
from zoo.cli.demo import DemoError, refused
from zoo.vision.images import read_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Guess(NamedTuple):
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


def read_labels(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels in order, from a checkpoint's config.json. ValueError if one is missing."""
    found = {int(index): str(label) for index, label in content.get("id2label", {}).items()}
    if not found or set(found) != set(range(len(found))):
        raise ValueError(f"config.json: id2label has {len(found)} labels, not numbered 0, 1, 2 …")
    return tuple(found[index] for index in range(len(found)))


def top(logits: np.ndarray, labels: Sequence[str], count: int = 5) -> list[list[Guess]]:
    """The `count` most probable labels of each row of `logits` [batch, labels], the best first."""
    values = np.asarray(logits, np.float64)
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise ValueError(f"logits are {values.shape}, expected [batch, {len(labels)}]: one for each label")
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return [
        [Guess(labels[index], float(row[index])) for index in best]
        for best, row in zip(order, probabilities, strict=True)
    ]


def image_of(path: Path) -> np.ndarray:
    """The image in the file `path`, for a demo. DemoError if it cannot be read."""
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


def labelled(names: Sequence[Any], guesses: Sequence[Sequence[Guess]]) -> str:
    """Each of `names` with its guesses below."""
    blocks = []
    for name, best in zip(names, guesses, strict=True):
        rows = [(guess.label, percent(guess.probability)) for guess in best]
        lines = table(rows, right=(1,)).splitlines()
        blocks.append("\n".join([str(name), *(f"    {line}" for line in lines)]))
    return "\n\n".join(blocks)
