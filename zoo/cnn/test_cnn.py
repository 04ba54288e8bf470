"""The CNN's accuracy on every mesh, and its training."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from zoo.cnn import params as cnn_params
from zoo.cnn import train
from zoo.cnn.data import HELD_OUT, Images, load_images
from zoo.cnn.model import CNN, DIGITS
from zoo.cnn.reference import CASES
from zoo.cnn.registration import MODEL
from zoo.cnn.sharding import BATCH
from zoo.registry import SLOW


@pytest.fixture(scope="module")
def images() -> tuple[Images, Images]:
    return load_images()


@pytest.mark.tt(mesh=list(MODEL.sharding.meshes))
def test_predictions(tt_jit: Any, tt_golden: Any, tt_run: Any, images: tuple[Images, Images]) -> None:
    """What a logit is for: on every mesh the chips name the digits that the reference names, and most are right."""
    golden = tt_golden.load("digits", reference=CASES["digits"])
    pixels, held_out = golden.inputs["pixels"], images[1]
    np.testing.assert_array_equal(pixels, held_out.pixels)
    logits = tt_jit(CNN(DIGITS).apply, in_shardings=(P(), BATCH), out_shardings=BATCH)(
        cnn_params.golden_params(DIGITS), pixels
    )
    predictions, best = np.asarray(logits).argmax(axis=-1), np.sort(golden.outputs["logits"], axis=-1)
    # Real chips compute in bfloat16: there, two logits that nearly agree may change places.
    clear = best[:, -1] - best[:, -2] > (0.0 if tt_run.backend == "sim" else 0.02 * best[:, -1])
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(predictions[clear], golden.outputs["logits"].argmax(axis=-1)[clear])
    assert (predictions == held_out.labels).mean() >= 0.97


def test_images(images: tuple[Images, Images]) -> None:
    training, held_out = images
    assert (len(training.labels), len(held_out.labels)) == (1413, HELD_OUT)
    assert training.pixels.dtype == np.float32
    assert training.pixels.shape[1:] == (8, 8, 1)
    assert {float(part.min()) for part in (training.pixels, held_out.pixels)} == {0.0}
    assert {float(part.max()) for part in (training.pixels, held_out.pixels)} == {1.0}
    per_class = np.bincount(held_out.labels)
    assert len(per_class) == 10
    assert 36 <= per_class.min() <= per_class.max() <= 39
    seen = {image.tobytes() for image in training.pixels}
    assert not seen & {image.tobytes() for image in held_out.pixels}


def test_shifted_moves_images() -> None:
    pixels = np.arange(1, 17, dtype=np.float32).reshape(1, 4, 4, 1).repeat(3, axis=0)
    moved = train.shifted(pixels, np.array([[1, 1], [2, 1], [1, 0]]))[..., 0]
    np.testing.assert_array_equal(moved[0], pixels[0, ..., 0])
    np.testing.assert_array_equal(moved[1], np.vstack([np.zeros((1, 4)), pixels[0, :-1, :, 0]]))
    np.testing.assert_array_equal(moved[2], np.hstack([pixels[0, :, 1:, 0], np.zeros((4, 1))]))


@pytest.mark.skipif(not os.environ.get(SLOW), reason="takes long: set ZOO_SLOW=1, as nox's session slow does")
def test_training_reaches_97_percent(images: tuple[Images, Images]) -> None:
    """From scratch, as ``python -m zoo.cnn.train`` does it; rounding may move single images."""
    training, held_out = images
    trained, losses = train.fit(training)
    assert np.mean(losses[-20:]) < losses[0] / 20
    logits = train.predict(trained, held_out.pixels)
    assert train.accuracy(logits, held_out.labels) >= 0.97
    recorded = train.predict(cnn_params.recorded(), held_out.pixels)
    assert (logits.argmax(axis=-1) == recorded.argmax(axis=-1)).mean() >= 0.98
