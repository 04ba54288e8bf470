"""From images to labels on a mesh, with a checkpoint on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from zoo.checkpoints.loading import CheckpointError, save_checkpoint
from zoo.resnet.classify import Classifier
from zoo.resnet.model import TINY, ResNet
from zoo.resnet.params import hub_config, synthetic_checkpoint, synthetic_params
from zoo.resnet.reference import photo, processor_json
from zoo.vision.images import Preparation
from zoo.vision.labels import top

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, synthetic_checkpoint(TINY), config=hub_config(TINY))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor_json("old")))
    return tmp_path


@pytest.mark.tt(mesh=["1x2", "2x4"])
def test_images_to_labels(checkpoint: Path, tt_mesh: Any, tt_run: Any) -> None:
    """Three images, also where that does not divide by the chips."""
    images = [photo(97, 61), photo(50, 131), photo(41, 40)]
    guesses = Classifier.load(checkpoint, tt_mesh)(images)
    prepared = np.stack([Preparation.from_json(processor_json("old"))(image) for image in images])
    with jax.default_device(jax.devices("cpu")[0]):
        logits = np.asarray(jax.jit(ResNet(TINY).apply)(synthetic_params(TINY), prepared))
    expected = top(logits, [f"label {index}" for index in range(TINY.num_labels)])
    for found, wanted in zip(guesses, expected, strict=True):
        assert len(found) == 5
        if tt_run.backend == "sim":  # real chips compute in bfloat16, where two that nearly agree may change places
            assert [guess.label for guess in found] == [guess.label for guess in wanted]
        probabilities = [guess.probability for guess in found]
        np.testing.assert_allclose(probabilities, [guess.probability for guess in wanted], rtol=0.05)
    assert Classifier.load(checkpoint, tt_mesh)([]) == []


@pytest.mark.tt
def test_files_that_are_not_there(checkpoint: Path, tt_mesh: Any) -> None:
    (checkpoint / "preprocessor_config.json").unlink()
    assert Classifier.load(checkpoint, tt_mesh).preparation == Preparation()
    (checkpoint / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json: no such file"):
        Classifier.load(checkpoint, tt_mesh)
