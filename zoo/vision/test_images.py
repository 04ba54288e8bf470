"""Images prepared as transformers does, bit by bit; and what is refused."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tt.golden import load
from zoo.references.huggingface import without_advice
from zoo.resnet.reference import PROCESSORS, SIZES, STEP, photo, processor_json
from zoo.resnet.registration import MODEL
from zoo.vision.images import Preparation, read_image, resize

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = load(MODEL.golden_path("preparation"))


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_golden(processor: str, size: tuple[int, int]) -> None:
    preparation = Preparation.from_json(processor_json(processor))
    prepared, step = preparation(photo(*size)), STEP.get(processor, 1)
    assert prepared.shape == (preparation.size, preparation.size, 3)
    assert prepared.dtype == np.float32
    np.testing.assert_array_equal(prepared[::step, ::step], GOLDEN.outputs[f"{processor}/{size[0]}x{size[1]}"])


def test_golden_holds_what_is_compared() -> None:
    assert set(GOLDEN.outputs) == {f"{name}/{height}x{width}" for name in PROCESSORS for height, width in SIZES}


def test_published_values_are_the_defaults() -> None:
    assert Preparation.from_json(processor_json("published")) == Preparation()


@pytest.mark.parametrize(
    "wrong",
    [
        {"resample": 2},
        {"crop_pct": 1.0},
        {"image_mean": [0.5, 0.5, 0.5]},
        {"image_std": [0.5, 0.5, 0.5]},
        {"size": {"shortest_edge": 256}, "crop_pct": 1.0},
        {"rescale_factor": 1 / 127.5},
    ],
)
def test_wrong_processor_is_caught(wrong: dict[str, Any]) -> None:
    preparation = Preparation.from_json({**processor_json("published"), **wrong})
    prepared, expected = preparation(photo(97, 61))[:224:9, :224:9], GOLDEN.outputs["published/97x61"]
    difference = np.linalg.norm(prepared - expected) / np.linalg.norm(expected)
    assert difference > 1e-3


PORTRAITS = ((600, 400), (1200, 401))
"""To be squeezed into 384x384, much more in height than in width: Pillow 13 begins with columns, 12 with rows."""


@pytest.mark.parametrize("size", [*SIZES, *PORTRAITS, (400, 600), (700, 640)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"shortest_edge": 384}, "resample": 3},
        {"size": {"shortest_edge": 400}, "resample": 2},
        {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3},
        {"size": {"shortest_edge": 383}, "crop_pct": 0.95, "resample": 2},
        {"size": {"shortest_edge": 31}, "crop_pct": 1.0, "resample": 3},
    ],
    ids=lambda settings: f"{settings['size']['shortest_edge']}-{settings['resample']}",
)
def test_as_transformers_does(settings: dict[str, Any], size: tuple[int, int]) -> None:
    """By its own processor, on the Pillow that is installed, to the last bit."""
    with without_advice():
        from transformers import ConvNextImageProcessorPil
    content = {**processor_json("published"), **settings}
    image = photo(*size)
    processor = ConvNextImageProcessorPil(**{key: content[key] for key in content if "type" not in key})
    expected = processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    np.testing.assert_array_equal(Preparation.from_json(content)(image), expected)


@pytest.mark.parametrize("size", [*SIZES, (400, 600)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ViT", {}),
        ("ViT", {"size": {"height": 24, "width": 24}, "resample": 3}),
        ("CLIP", {}),
        ("CLIP", {"size": {"shortest_edge": 37}, "crop_size": {"height": 24, "width": 24}}),
    ],
    ids=str,
)
def test_processors_of_transformers(kind: str, settings: dict[str, Any], size: tuple[int, int]) -> None:
    """ViT's and CLIP's, with their defaults, to the last bit."""
    with without_advice():
        import transformers
    image = photo(*size)
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**settings)
    expected = processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    content = {"image_processor_type": f"{kind}ImageProcessor", **settings}
    np.testing.assert_array_equal(Preparation.from_json(content, kind)(image), expected)


def test_resize_by_hand() -> None:
    """Two pixels to four and back: bilinear weights are 1, 3/4, 1/4, 0."""
    image = np.array([[[0, 0, 0], [100, 200, 40]]], np.uint8)
    larger = resize(image, 1, 4, "bilinear")
    assert larger.tolist() == [[[0, 0, 0], [25, 50, 10], [75, 150, 30], [100, 200, 40]]]
    assert resize(np.full((3, 5, 3), 255, np.uint8), 50, 2, "bicubic").min() == 255
    same = photo(9, 7)
    np.testing.assert_array_equal(resize(same, 9, 7, "bicubic"), same)
    for wrong in (np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            resize(wrong, 1, 1, "bicubic")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"image_processor_type": "ViTImageProcessor"}, "is of ViTImageProcessor, expected ConvNextImageProcessor"),
        ({"do_normalize": False}, "says do_normalize False, only True is known here"),
        ({"do_center_crop": True}, "says do_center_crop True, only False"),
        ({"resample": 0}, "says resample 0, known are"),
        ({"size": 0}, "size 0 and crop_pct"),
        ({"size": {"height": 224, "width": 224}}, "says size {'height': 224, 'width': 224}, expected a shortest_edge"),
        ({"size": {"shortest_edge": 224, "longest_edge": 300}}, "expected a shortest_edge alone"),
        ({"default_to_square": True}, "says default_to_square True, only False"),
        ({"gamma": 2.2}, "says gamma 2.2, a key that the zoo does not know"),
        ({"crop_pct": 1.5}, r"crop_pct 1\.5"),
        ({"image_mean": [0.5]}, "one number a channel each"),
    ],
)
def test_unknown_processor(content: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Preparation.from_json({**processor_json("published"), **content})


def test_unknown_settings_of_other_processors() -> None:
    with pytest.raises(ValueError, match=r"size \{'shortest_edge': 224\}, expected a height and a width alone"):
        Preparation.from_json({"size": {"shortest_edge": 224}}, "ViT")
    with pytest.raises(ValueError, match="says do_center_crop False, only True is known here"):
        Preparation.from_json({"do_center_crop": False}, "CLIP")
    with pytest.raises(ValueError, match="the crop of 224 is larger than the shorter side, 100"):
        Preparation.from_json({"size": 100}, "CLIP")


def test_what_a_file_leaves_out_is_transformers_default() -> None:
    left_out = Preparation.from_json({})
    assert left_out == Preparation(size=384, crop_pct=0.875, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    for name in ("ConvNextImageProcessor", "ConvNextImageProcessorFast"):
        assert Preparation.from_json({"image_processor_type": name}) == left_out


def test_what_transformers_5_writes_too() -> None:
    more = {"data_format": "channels_first", "device": None, "do_convert_rgb": None, "crop_size": None, "new": None}
    assert Preparation.from_json({**processor_json("published"), **more, "default_to_square": False}) == Preparation()


def test_reading_arrays(tmp_path: Path) -> None:
    image = photo(20, 30)
    np.save(tmp_path / "image.npy", image)
    np.testing.assert_array_equal(read_image(tmp_path / "image.npy"), image)
    np.save(tmp_path / "wrong.npy", image[..., :1])
    with pytest.raises(ValueError, match=r"wrong\.npy: holds uint8 \(20, 30, 1\), expected uint8"):
        read_image(tmp_path / "wrong.npy")


def test_reading_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match=r"cat\.png: reading it needs Pillow: pip install pillow"):
        read_image(tmp_path / "cat.png")
    with pytest.raises(ModuleNotFoundError, match="resizing images needs Pillow: pip install pillow"):
        Preparation()(photo(20, 30))


def test_reading_files(tmp_path: Path) -> None:
    """Whatever the file holds becomes red, green, blue, the right way up."""
    from PIL import Image

    pixels = photo(20, 30)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.png"), pixels)
    image.convert("L").save(tmp_path / "grey.png")
    grey = read_image(tmp_path / "grey.png")
    assert grey.shape == (20, 30, 3)
    assert (grey[..., 0] == grey[..., 1]).all()
    image.convert("RGBA").save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: 90 degrees clockwise to see it upright
    image.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(pixels, -1))
    (tmp_path / "text.png").write_text(json.dumps("not an image"))
    with pytest.raises(ValueError, match=r"text\.png: not an image"):
        read_image(tmp_path / "text.png")
