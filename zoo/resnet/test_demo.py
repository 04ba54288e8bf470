"""``python -m zoo run resnet``, on a made-up checkpoint and image files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from zoo.__main__ import main
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.resnet.model import TINY, ResNet
from zoo.resnet.params import hub_config, synthetic_checkpoint, synthetic_params
from zoo.resnet.reference import photo, processor_json
from zoo.vision.images import Preparation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, synthetic_checkpoint(TINY), config=hub_config(TINY))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor_json("old")))
    return tmp_path


@pytest.fixture
def refusal(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The line with which the command refuses."""

    def call(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["run", "resnet", "--checkpoint", str(directory), *map(str, arguments)])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


@pytest.mark.tt(mesh=["1x1", "1x8"])
def test_labels(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tt_run: Any) -> None:
    from PIL import Image

    images = [photo(97, 61), photo(50, 131)]
    Image.fromarray(images[0]).save(tmp_path / "upright.png")
    np.save(tmp_path / "wide.npy", images[1])
    paths = [str(tmp_path / name) for name in ("upright.png", "wide.npy")]
    assert (
        main(["run", "resnet", "--checkpoint", str(directory), "--mesh", str(tt_run.mesh), "--top", "3", *paths]) == 0
    )
    found = capsys.readouterr().out.splitlines()
    prepared = np.stack([Preparation.from_json(processor_json("old"))(image) for image in images])
    with jax.default_device(jax.devices("cpu")[0]):
        chances = np.asarray(jax.nn.softmax(jax.jit(ResNet(TINY).apply)(synthetic_params(TINY), prepared)))
    for path, lines, row in zip(paths, (found[:4], found[5:9]), chances, strict=True):
        assert lines[0] == path
        if tt_run.backend == "sim":
            for line, label in zip(lines[1:], np.argsort(-row)[:3], strict=True):
                text, share, sign = line.rsplit(maxsplit=2)
                assert (text.strip(), sign) == (f"label {label}", "%")
                assert float(share) == pytest.approx(100 * row[label], abs=0.006)
    rows = [line.split("  ")[0] for line in found[10:]]
    assert rows == ["model", "weights", "chips", "parameters", "load", "compile", "run", "preparing", "speed"]
    assert "model       resnet, tiny" in found


def test_images_that_cannot_be_read(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "the following arguments are required: IMAGE" in refusal()
    assert f"{tmp_path}/a.png: no such file; expected an image" in refusal(tmp_path / "a.png")
    assert f"{tmp_path}: no such file; expected an image" in refusal(tmp_path)
    (tmp_path / "empty.npy").touch()
    assert f"{tmp_path}/empty.npy: cannot be read (" in refusal(tmp_path / "empty.npy")
    (tmp_path / "text.npy").write_text("no array")
    assert f"{tmp_path}/text.npy: cannot be read (" in refusal(tmp_path / "text.npy")
    np.save(tmp_path / "grey.npy", np.zeros((4, 4), np.uint8))
    assert "grey.npy: holds uint8 (4, 4), expected uint8 [height, width, 3]" in refusal(tmp_path / "grey.npy")
    np.save(tmp_path / "none.npy", np.zeros((0, 4, 3), np.uint8))
    assert "none.npy: an image of 4x0 pixels" in refusal(tmp_path / "none.npy")


def test_image_files_that_are_damaged(refusal: Callable[..., str], tmp_path: Path) -> None:
    from PIL import Image

    for name in ("whole.png", "whole.jpg", "whole.gif"):
        Image.fromarray(photo(97, 61)).save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        assert f"{tmp_path / name}: " in refusal(tmp_path / name)
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png: not an image that Pillow can read" in refusal(tmp_path / "text.png")


@pytest.mark.tt
def test_checkpoints_that_do_not_fit(refusal: Callable[..., str], directory: Path) -> None:
    image = directory / "image.npy"
    np.save(image, photo(41, 40))
    (directory / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "ViTImageProcessor"}))
    assert "preprocessor_config.json is of ViTImageProcessor, expected ConvNext" in refusal(image)
    (directory / "config.json").write_text(json.dumps({**hub_config(TINY), "layer_type": "basic"}))
    assert "layer_type is 'basic', not 'bottleneck'" in refusal(image)
    (directory / "config.json").unlink()
    assert f"{directory}/config.json: no such file; it says what the checkpoint is of" in refusal(image)
