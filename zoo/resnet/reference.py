"""The independent reference: transformers' PyTorch ResNet, and its image processor on Pillow.

The net computes in float64 and is rounded to float32 at the end: in float32 its result moves by 1e-6 with the number of
threads, as much as goldens may. Needs the extra ``reference``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.authoring import published
from zoo.checkpoints.loading import save_checkpoint
from zoo.checkpoints.synthetic import integers, uniform
from zoo.references.huggingface import made_by
from zoo.resnet.model import CONFIGS
from zoo.resnet.params import hub_config, rounded, rounded_params, synthetic_checkpoint, synthetic_params

if TYPE_CHECKING:
    from zoo.resnet.model import ResNetConfig

FOLDER = Path(__file__).parent

IMAGES = {
    "tiny": (32, 32, 24),
    "tiny-basic": (32, 32, 24),
    "resnet-50": (8, 72, 56),
    "resnet-18": (8, 40, 33),
    "resnet-34": (8, 40, 33),
    "resnet-101": (8, 40, 33),
    "resnet-152": (8, 40, 33),
}
"""Variant -> batch, height and width of its golden: upright images, with odd sides on the way down."""

PROCESSORS: dict[str, dict[str, Any]] = {
    "published": {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3},
    "old": {"size": 40, "crop_pct": 0.875, "resample": 2},
    "odd": {"size": {"shortest_edge": 33}, "crop_pct": 0.9, "resample": 3},
    "warped": {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3},
}
"""What is said in preprocessor_config.json (with the published mean and std); ``warped`` is not cropped."""

SIZES = ((97, 61), (50, 131), (256, 300), (41, 40), (300, 36))
"""Height and width of the images that are prepared: larger, smaller, wide, upright, already of the right height."""

STEP = {"published": 9, "warped": 16}
"""Of large results the golden keeps one row and one column in so many."""


def processor_json(name: str) -> dict[str, Any]:
    """The preprocessor_config.json of a processor, in the form of the published ones."""
    return {
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "ConvNextFeatureExtractor",
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        **PROCESSORS[name],
    }


def photo(height: int, width: int) -> np.ndarray:
    """A made-up image, uint8 [height, width, 3]: hard edges, noise, and the extremes 0 and 255."""
    name = f"resnet/photo/{height}x{width}"
    coarse = uniform(f"{name}/squares", (-(-height // 7), -(-width // 7), 3), low=-60.0, high=315.0)
    squares = coarse.repeat(7, axis=0).repeat(7, axis=1)[:height, :width]
    noise = integers(f"{name}/noise", (height, width, 3), 41) - 20
    image: np.ndarray = np.clip(np.floor(squares) + noise, 0, 255).astype(np.uint8)
    return image


PATCH = 8
"""Side of the squares of one colour in `made_up_images`, in pixels."""


def made_up_images(name: str, count: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Float32 [count, height, width, channels] with about the range of normalised pixels (-2 to 2).

    Squares of one colour under fine noise: of noise alone all images would look alike to a net that ends in a mean.
    """
    rows, columns = -(-height // PATCH), -(-width // PATCH)
    squares = uniform(f"{name}/squares", (count, rows, columns, channels), low=-1.5, high=1.5)
    images = squares.repeat(PATCH, axis=1).repeat(PATCH, axis=2)[:, :height, :width]
    images += uniform(f"{name}/noise", (count, height, width, channels), low=-0.5, high=0.5)
    return images


def load(directory: Path) -> Any:
    """The PyTorch model of a checkpoint on disk, float32, for inference; every tensor must have come from there."""
    import torch
    from transformers import ResNetForImageClassification

    loaded: Any = ResNetForImageClassification.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True, local_files_only=True
    )
    model, told = loaded
    wrong = {what: names for what, names in told.items() if names}
    if wrong:
        raise RuntimeError(f"transformers did not take the checkpoint as it is: {wrong}")
    return model.eval()


def forward(model: Any, pixel_values: np.ndarray) -> np.ndarray:
    """Logits [batch, labels] of `pixel_values` [batch, height, width, channels], in the dtype of `model`."""
    import torch

    channels_first = torch.from_numpy(pixel_values).permute(0, 3, 1, 2)
    with torch.inference_mode():
        logits = model(channels_first.to(model.dtype)).logits
    return np.asarray(logits.numpy())


def write_checkpoint(directory: Path, config: ResNetConfig, *, bfloat16: bool = False) -> None:
    """The made-up checkpoint of a variant, in the Hugging Face layout; `bfloat16`: convolutions rounded to that.

    The config.json of a published size is the published one, not what our config says.
    """
    told = hub_config(config)
    if config.name in published.read(FOLDER / published.FILE)["variants"]:
        told = {**told, **published.config_json(FOLDER, config.name)}
    tensors = synthetic_checkpoint(config)
    save_checkpoint(directory, rounded(tensors) if bfloat16 else tensors, config=told)


BFLOAT16_BOUNDS = {
    "sim": {"pcc": 0.999, "rel_l2": 0.01, "reason": "images and factors of products are rounded to bfloat16"}
}
"""Where all but batch norm is in bfloat16. Batch norm in it too makes twice the error."""


def golden(variant: str, *, bfloat16: bool = False) -> Golden:
    """The golden of a variant with made-up weights, computed now; `bfloat16`: of images and convolutions in that."""
    config = CONFIGS[variant]
    batch, height, width = IMAGES[variant]
    pixel_values = made_up_images(f"resnet/{variant}", batch, height, width, config.num_channels)
    if bfloat16:
        pixel_values = pixel_values.astype(ml_dtypes.bfloat16)
    with tempfile.TemporaryDirectory() as directory:
        write_checkpoint(Path(directory), config, bfloat16=bfloat16)
        logits = forward(load(Path(directory)).double(), pixel_values.astype(np.float32)).astype(np.float32)
    weights = rounded_params(config) if bfloat16 else synthetic_params(config)
    return Golden(
        inputs={"pixel_values": pixel_values},
        outputs={"logits": logits},
        info={
            **made_by(
                "resnet",
                variant,
                "transformers ResNetForImageClassification, float64 rounded to float32",
                {"kind": "synthetic", "seed": 0, "digest": digest(weights)},
            ),
            **({"dtype": "bfloat16", "bounds": BFLOAT16_BOUNDS} if bfloat16 else {"dtype": "float32"}),
        },
    )


def preparation_golden() -> Golden:
    """Images prepared by transformers' image processor, the variant on Pillow; the inputs are drawn by their size."""
    from transformers import ConvNextImageProcessorPil

    outputs = {}
    for name in PROCESSORS:
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "preprocessor_config.json").write_text(json.dumps(processor_json(name)))
            processor = ConvNextImageProcessorPil.from_pretrained(directory)
        for height, width in SIZES:
            prepared = processor(photo(height, width), return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
            step = STEP.get(name, 1)
            outputs[f"{name}/{height}x{width}"] = np.ascontiguousarray(prepared[::step, ::step])
    return Golden(
        outputs=outputs,
        info={
            **made_by(
                "resnet",
                "resnet-50",
                "transformers ConvNextImageProcessorPil",
                {"kind": "none", "digest": digest({})},
                packages=("torch", "transformers", "pillow"),
            ),
            "dtype": "float32",
        },
    )
