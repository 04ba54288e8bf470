"""From an image file to the net's input, bit by bit as the checkpoint's image processor does it on Pillow."""

from __future__ import annotations

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

    The defaults are those of microsoft/resnet-18 to 152. ValueError for values that make no sense.
    """

    size: int = 224
    """Side of the result, in pixels."""
    crop_pct: float = 0.875
    """How much of the scaled image's shorter side the crop keeps."""
    resample: str = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    rescale_factor: float = 1 / 255

    def __post_init__(self) -> None:
        if self.size < 1 or not 0.0 < self.crop_pct <= 1.0:
            raise ValueError(f"size {self.size} and crop_pct {self.crop_pct}: expected at least 1, and 0 to 1")
        if self.resample not in _RESAMPLE.values():
            raise ValueError(f"resample is {self.resample!r}, expected one of {', '.join(_RESAMPLE.values())}")
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean {self.mean} and std {self.std} must hold one number a channel each")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Preparation:
        """From a checkpoint's preprocessor_config.json. ValueError if it is of a processor that works otherwise."""
        kind = content.get("image_processor_type", content.get("feature_extractor_type", "ConvNext"))
        if not str(kind).startswith("ConvNext"):
            raise ValueError(f"preprocessor_config.json is of {kind}, expected ConvNextImageProcessor, as ResNet's are")
        for key, value in content.items():
            if value is None or key in _READ or key in _WITHOUT_EFFECT:
                continue
            if key not in _FIXED:
                raise ValueError(
                    f"preprocessor_config.json says {key} {value!r}, a key that the zoo does not know (remove it if it "
                    "does not change how images are prepared)"
                )
            if value != _FIXED[key]:
                raise ValueError(f"preprocessor_config.json says {key} {value!r}, only {_FIXED[key]!r} is known here")
        size = content.get("size", {"shortest_edge": WARP_FROM})
        if isinstance(size, dict) and set(size) != {"shortest_edge"}:
            raise ValueError(f"preprocessor_config.json says size {size!r}, expected a shortest_edge alone")
        number = int(content.get("resample", 3))
        if number not in _RESAMPLE:
            raise ValueError(f"preprocessor_config.json says resample {number}, known are {_RESAMPLE}")
        # What the file leaves out is the default of transformers' class, not that of the published ResNets.
        return cls(
            size=int(size["shortest_edge"] if isinstance(size, dict) else size),
            crop_pct=float(content.get("crop_pct", 224 / 256)),
            resample=_RESAMPLE[number],
            mean=tuple(content.get("image_mean", (0.5, 0.5, 0.5))),
            std=tuple(content.get("image_std", (0.5, 0.5, 0.5))),
            rescale_factor=float(content.get("rescale_factor", 1 / 255)),
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """`image` uint8 [height, width, 3] to float32 [size, size, 3]."""
        return self.normalise(self.crop(image))

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The scaled centre of `image`, uint8 [size, size, 3]."""
        if self.size >= WARP_FROM:
            return resize(image, self.size, self.size, self.resample)
        height, width = image.shape[:2]
        short = int(self.size / self.crop_pct)
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


_FIXED: dict[str, Any] = {
    "default_to_square": False,
    "do_center_crop": False,
    "do_flip_channel_order": False,
    "do_normalize": True,
    "do_pad": False,
    "do_rescale": True,
    "do_resize": True,
    "offset": False,
}
"""Keys of preprocessor_config.json that may have this value alone."""

_READ = (
    "crop_pct", "feature_extractor_type", "image_mean", "image_processor_type", "image_std", "resample",
    "rescale_factor", "size",
)  # fmt: skip

_WITHOUT_EFFECT = (
    "_processor_class", "_valid_processor_keys", "backend", "crop_size", "data_format", "device", "disable_grouping",
    "do_convert_rgb", "input_data_format", "model_input_names", "pad_size", "processor_class", "return_tensors",
    "transformers_version",
)  # fmt: skip
"""How PyTorch gets the images, whose class it is, and sizes of what `_FIXED` switches off; images are RGB anyway."""


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
