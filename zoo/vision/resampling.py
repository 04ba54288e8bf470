"""Images made larger or smaller exactly as Pillow does it, without Pillow.

Pillow's resize of 8-bit images (src/libImaging/Resample.c) works in whole numbers: the weights of each output pixel are
rounded to multiples of 2**-22, and rows, then columns, are summed and rounded to 8 bits. Whole numbers of that size are
exact in float64 whatever the order of the sum, so a matrix product gives Pillow's pixels bit by bit.

From Pillow 13 on, an image whose height shrinks much more than its width is resized by columns first, which rounds
otherwise. Nothing that keeps the ratio of its sides is such an image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

PRECISION = 1 << 22
"""Pillow's PRECISION_BITS: 32 bits less 8 of the pixel and 2 of room for weights beyond 1."""


def _bilinear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - distance, 0.0)


def _bicubic(distance: np.ndarray) -> np.ndarray:
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5
    return np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0))


FILTERS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1.0, _bilinear),
    "bicubic": (2.0, _bicubic),
}
"""Name -> radius in pixels, and weight by distance."""


def resize(image: np.ndarray, height: int, width: int, resample: str) -> np.ndarray:
    """`image` uint8 [height, width, channels] at the new size, uint8; `resample` is ``bilinear`` or ``bicubic``."""
    if image.dtype != np.uint8 or image.ndim != 3:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 [height, width, channels]")
    if width != image.shape[1]:
        image = _resize_rows(image.swapaxes(0, 1), width, resample).swapaxes(0, 1)
    if height != image.shape[0]:
        image = _resize_rows(image, height, resample)
    return np.ascontiguousarray(image)


def _resize_rows(image: np.ndarray, count: int, resample: str) -> np.ndarray:
    """`count` rows in place of those there are."""
    weights = _weights(image.shape[0], count, resample)
    sums = weights @ image.reshape(image.shape[0], -1).astype(np.float64)
    rounded = np.floor((sums + PRECISION // 2) / PRECISION)
    return np.clip(rounded, 0, 255).astype(np.uint8).reshape(count, *image.shape[1:])


def _weights(old: int, new: int, resample: str) -> np.ndarray:
    """Matrix [new, old] of whole numbers, float64: how much of each old pixel, in units of 1 / PRECISION."""
    radius, weight = FILTERS[resample]
    scale = old / new
    stretch = max(scale, 1.0)  # a smaller image takes the mean over what each pixel covers
    reach = radius * stretch
    weights = np.zeros((new, old))
    for index in range(new):
        centre = (index + 0.5) * scale
        first = max(int(centre - reach + 0.5), 0)
        last = min(int(centre + reach + 0.5), old)
        row = weight(np.abs((np.arange(first, last) - centre + 0.5) * (1.0 / stretch)))
        row = row / sum(row.tolist())  # in order, as Pillow sums
        weights[index, first:last] = np.trunc(row * PRECISION + np.copysign(0.5, row))
    return weights
