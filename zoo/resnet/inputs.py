"""Made-up images for goldens and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.checkpoints.synthetic import uniform

if TYPE_CHECKING:
    from zoo.resnet.model import ResNetConfig

PATCH = 8
"""Side of the squares of one colour, in pixels."""


def made_up_images(name: str, count: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Float32 [count, height, width, channels] with about the range of normalised pixels (-2 to 2).

    Squares of one colour under fine noise: of noise alone all images would look alike to a net that ends in a mean.
    """
    rows, columns = -(-height // PATCH), -(-width // PATCH)
    squares = uniform(f"{name}/squares", (count, rows, columns, channels), low=-1.5, high=1.5)
    images = squares.repeat(PATCH, axis=1).repeat(PATCH, axis=2)[:, :height, :width]
    images += uniform(f"{name}/noise", (count, height, width, channels), low=-0.5, high=0.5)
    return images


def example(config: ResNetConfig) -> dict[str, np.ndarray]:
    """Inputs by name: one small image (any size from 32 on gives the same parameters)."""
    return {"pixel_values": np.zeros((1, 32, 32, config.num_channels), np.float32)}
