"""From an image file to the net's input, bit by bit as the checkpoint's image processor does it on Pillow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_RESAMPLE = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which preprocessor_config.json has."""

WARP_FROM = 384
"""Side from which on transformers squeezes the whole image into the square in place of cropping it."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to an image: scaled, its centre cut out, pixels brought to [0, 1] and normalised per channel.

    squeezed: the whole image becomes the square, without a crop. shorter: side of the scaled image that is the shorter
    one, in pixels; None: what `crop_pct` says. The defaults are those of microsoft/resnet-18 to 152. ValueError for
    values that make no sense.
    """

    size: int = 224
    """Side of the result, in pixels."""
    crop_pct: float = 0.875
    """How much of the scaled image's shorter side the crop keeps."""
    resample: str = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    rescale_factor: float = 1 / 255
    squeezed: bool = False
    shorter: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or not 0.0 < self.crop_pct <= 1.0:
            raise ValueError(f"size {self.size} and crop_pct {self.crop_pct}: expected at least 1, and 0 to 1")
        if self.shorter is not None and self.shorter < self.size:
            raise ValueError(f"the crop of {self.size} is larger than the shorter side, {self.shorter}")
        if self.resample not in _RESAMPLE.values():
            raise ValueError(f"resample is {self.resample!r}, expected one of {', '.join(_RESAMPLE.values())}")
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean {self.mean} and std {self.std} must hold one number a channel each")

    @classmethod
    def from_json(cls, content: Mapping[str, Any], kind: str = "ConvNext") -> Preparation:
        """From a checkpoint's preprocessor_config.json, of transformers' processor `kind`: ConvNext, ViT or CLIP.

        ValueError if it is of another one, or of one that works otherwise.
        """
        found = content.get("image_processor_type", content.get("feature_extractor_type", kind))
        if not str(found).startswith(kind):
            raise ValueError(f"preprocessor_config.json is of {found}, expected {kind}ImageProcessor")
        processor = _PROCESSORS[kind]
        fixed = {**_FIXED, **processor.fixed}
        for key, value in content.items():
            if value is None or key in _READ or key in processor.read or key in _WITHOUT_EFFECT:
                continue
            if key not in fixed:
                raise ValueError(
                    f"preprocessor_config.json says {key} {value!r}, a key that the zoo does not know (remove it if it "
                    "does not change how images are prepared)"
                )
            if value != fixed[key]:
                raise ValueError(f"preprocessor_config.json says {key} {value!r}, only {fixed[key]!r} is known here")
        number = int(content.get("resample", processor.resample))
        if number not in _RESAMPLE:
            raise ValueError(f"preprocessor_config.json says resample {number}, known are {_RESAMPLE}")
        side = _side(content, "size", processor.size)
        sizes: dict[str, Any] = {"size": side}
        # What the file leaves out is the default of transformers' class, not that of the published ResNets.
        if kind == "ConvNext":
            sizes["crop_pct"] = float(content.get("crop_pct", 224 / 256))
        elif kind == "ViT":
            sizes["squeezed"] = True
        else:
            sizes = {"size": _side(content, "crop_size", {"height": 224, "width": 224}), "shorter": side}
        return cls(
            resample=_RESAMPLE[number],
            mean=tuple(content.get("image_mean", processor.mean)),
            std=tuple(content.get("image_std", processor.std)),
            rescale_factor=float(content.get("rescale_factor", 1 / 255)),
            **sizes,
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """`image` uint8 [height, width, 3] to float32 [size, size, 3]."""
        return self.normalise(self.crop(image))

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The scaled centre of `image`, uint8 [size, size, 3]."""
        if self.squeezed or (self.shorter is None and self.size >= WARP_FROM):
            return resize(image, self.size, self.size, self.resample)
        height, width = image.shape[:2]
        short = int(self.size / self.crop_pct) if self.shorter is None else self.shorter
        long = int(short * max(height, width) / min(height, width))
        new_height, new_width = (long, short) if width <= height else (short, long)
        scaled = resize(image, new_height, new_width, self.resample)
        top, left = (new_height - self.size) // 2, (new_width - self.size) // 2
        return scaled[top : top + self.size, left : left + self.size]

    def normalise(self, image: np.ndarray) -> np.ndarray:
        """Pixels 0 to 255 to float32 of mean about 0; rounded where transformers rounds."""
        scaled = (image.astype(np.float64) * self.rescale_factor).astype(np.float32)
        normalised: np.ndarray = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return normalised


@dataclass(frozen=True, slots=True)
class _Processor:
    """A processor of transformers: its defaults, and what it does not share with the others."""

    size: dict[str, int]
    resample: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fixed: Mapping[str, Any]
    """Keys that may have this value alone."""
    read: tuple[str, ...] = ()


_HALF = (0.5, 0.5, 0.5)

_PROCESSORS = {
    "ConvNext": _Processor(
        size={"shortest_edge": WARP_FROM},
        resample=3,
        mean=_HALF,
        std=_HALF,
        fixed={"default_to_square": False, "do_center_crop": False},
        read=("crop_pct",),
    ),
    "ViT": _Processor(
        size={"height": 224, "width": 224},
        resample=2,
        mean=_HALF,
        std=_HALF,
        fixed={"default_to_square": True, "do_center_crop": False},
    ),
    "CLIP": _Processor(
        size={"shortest_edge": 224},
        resample=3,
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
        fixed={"default_to_square": False, "do_center_crop": True},
        read=("crop_size",),
    ),
}

_FIXED: dict[str, Any] = {
    "do_flip_channel_order": False,
    "do_normalize": True,
    "do_pad": False,
    "do_rescale": True,
    "do_resize": True,
    "offset": False,
}
"""Keys of preprocessor_config.json that may have this value alone, whatever the processor."""

_READ = (
    "feature_extractor_type", "image_mean", "image_processor_type", "image_std", "resample",
    "rescale_factor", "size",
)  # fmt: skip

_WITHOUT_EFFECT = (
    "_processor_class", "_valid_processor_keys", "backend", "crop_size", "data_format", "device", "disable_grouping",
    "do_convert_rgb", "input_data_format", "model_input_names", "pad_size", "processor_class", "return_tensors",
    "transformers_version",
)  # fmt: skip
"""How PyTorch gets the images, whose class it is, and sizes of what `_FIXED` switches off; images are RGB anyway."""


def preparation_of(directory: Path, kind: str) -> Preparation:
    """How the checkpoint in `directory` prepares images; by the defaults of transformers' class where it is silent.

    ValueError as `Preparation.from_json`.
    """
    path = directory / "preprocessor_config.json"
    return Preparation.from_json(json.loads(path.read_bytes()) if path.is_file() else {}, kind)


def _side(content: Mapping[str, Any], key: str, default: dict[str, int]) -> int:
    """The side that `key` of preprocessor_config.json says, a number or an object with the keys of `default`.

    ValueError for an object with others, or of sides that differ.
    """
    value = content.get(key, default)
    if not isinstance(value, dict):
        return int(value)
    if set(value) != set(default) or len(set(value.values())) != 1:
        names = "a shortest_edge alone" if len(default) == 1 else "a height and a width alone, of one value"
        raise ValueError(f"preprocessor_config.json says {key} {value!r}, expected {names}")
    return int(next(iter(value.values())))


def resize(image: np.ndarray, height: int, width: int, resample: str) -> np.ndarray:
    """`image` uint8 [height, width, 3] at the new size, by Pillow; `resample` is ``bilinear`` or ``bicubic``.

    ValueError for another array. ModuleNotFoundError that says so if Pillow is not installed.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 [height, width, 3]")
    pillow = _pillow("resizing images")
    return np.asarray(pillow.fromarray(image).resize((width, height), pillow.Resampling[resample.upper()]))


def read_image(path: Path) -> np.ndarray:
    """The image in a file as uint8 [height, width, 3], turned as its camera says; ``.npy`` files hold just that array.

    Other formats are read by Pillow: ModuleNotFoundError that says so. ValueError if the file is not an image.
    """
    if path.suffix == ".npy":
        image = np.load(path, allow_pickle=False)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"{path}: holds {image.dtype} {image.shape}, expected uint8 [height, width, 3]")
        return np.asarray(image)
    pillow = _pillow(f"{path}: reading it")
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with pillow.open(path) as file:
            return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not an image that Pillow can read") from None


def _pillow(what: str) -> Any:
    """Pillow's module `Image`. ModuleNotFoundError that says that `what` needs it."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{what} needs Pillow: pip install pillow", name=error.name) from None
    return Image
