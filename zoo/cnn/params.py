"""Parameters of the CNN: recorded from training, or made up for the golden of an untrained variant."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.synthetic import uniform
from zoo.checkpoints.weights import nested, read_weights

if TYPE_CHECKING:
    from zoo.cnn.model import CNNConfig

RECORDED = Path(__file__).parent / "weights" / "digits.safetensors"
"""What ``python -m zoo.cnn.train`` gave; variant ``digits``."""

RECORDED_SHA256 = "42eb4c45b8d84d8592f67cf5f55de1117c39807e4f74ed05ea338ca64873d9d4"


def shapes(config: CNNConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter by its path, e.g. ``params/Conv_0/kernel`` [height, width, inputs, outputs]."""
    pixels = (config.height // 2) * (config.width // 2)
    return {
        "params/Conv_0/bias": (config.features,),
        "params/Conv_0/kernel": (3, 3, 1, config.features),
        "params/Dense_0/bias": (config.num_labels,),
        "params/Dense_0/kernel": (pixels * config.features, config.num_labels),
    }


def synthetic_params(config: CNNConfig, seed: int = 0) -> dict[str, Any]:
    """Made-up float32 parameters: about half of the ReLUs closed, and logits that a missing bias moves visibly."""
    return nested(
        {
            name: uniform(f"cnn/{config.name}/{name}", shape, low=-bound, high=bound, seed=seed)
            for name, shape in shapes(config).items()
            for bound in [1.0 if len(shape) == 1 else math.sqrt(6.0 / math.prod(shape[:-1]))]
        }
    )


def recorded() -> dict[str, Any]:
    """The trained parameters of variant ``digits``; WeightsError if the file is not the pinned one."""
    return read_weights(RECORDED, RECORDED_SHA256)


def golden_params(config: CNNConfig) -> dict[str, Any]:
    """The parameters that the golden of `config` was made with: of the trained variant those, else made-up ones."""
    return recorded() if config.name == "digits" else synthetic_params(config)
