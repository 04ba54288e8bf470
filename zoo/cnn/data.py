"""The digits: 1,797 real images of 8x8 pixels that come with scikit-learn, and how they are split.

They are the test part of the UCI data set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998).
The file is in order of writers: the same sequence of about 130 labels that each was asked to write comes again and
again. So the last images are kept for testing: they are of writers that training has not seen (a split at random
would have every writer on both sides), and as each wrote all digits about equally often they are stratified by
themselves. 384 of them, because that divides by 1, 2, 4, 8, 32 and 128 chips.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

HELD_OUT = 384


class Images(NamedTuple):
    """Pixels [count, 8, 8, 1] float32, 0 to 1, exact multiples of 1/16; labels [count] int32."""

    pixels: np.ndarray
    labels: np.ndarray


def load_images() -> tuple[Images, Images]:
    """Training images (1,413) and held-out images (384). Needs scikit-learn, no network."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images / 16.0).astype(np.float32)[..., None]
    labels = digits.target.astype(np.int32)
    return Images(pixels[:-HELD_OUT], labels[:-HELD_OUT]), Images(pixels[-HELD_OUT:], labels[-HELD_OUT:])
