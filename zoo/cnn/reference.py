"""The independent reference: PyTorch in float64, rounded to float32 at the end. Needs the extra ``reference``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import uniform
from zoo.cnn import params
from zoo.cnn.data import load_images
from zoo.cnn.model import DIGITS, LESSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.cnn.model import CNNConfig


def forward(tree: Mapping[str, Any], pixels: np.ndarray) -> np.ndarray:
    """Logits [batch, classes] float32 of `pixels` [batch, height, width, 1], computed by torch.nn.functional.

    PyTorch has channels first, so images, kernel and the flattened features are turned round here.
    """
    import torch

    conv, dense = (
        {name: torch.from_numpy(np.array(leaf)).double() for name, leaf in tree["params"][layer].items()}
        for layer in ("Conv_0", "Dense_0")
    )
    images = torch.from_numpy(pixels).double().permute(0, 3, 1, 2)
    features = torch.nn.functional.conv2d(images, conv["kernel"].permute(3, 2, 0, 1), conv["bias"], padding=1)
    features = torch.nn.functional.avg_pool2d(torch.relu(features), kernel_size=2, stride=2)
    flat = features.permute(0, 2, 3, 1).reshape(len(pixels), -1)
    logits = torch.nn.functional.linear(flat, dense["kernel"].T, dense["bias"])
    return np.asarray(logits.float().numpy())


def golden(config: CNNConfig) -> Golden:
    """The golden of one variant, computed now: all held-out digits, or made-up images of the lesson's size."""
    import torch

    if config is DIGITS:
        tree = params.recorded()
        source: dict[str, Any] = {"kind": "file", "file": f"weights/{params.RECORDED.name}"}
        pixels = load_images()[1].pixels
    else:
        tree = params.synthetic_params(config)
        source = {"kind": "synthetic", "seed": 0}
        pixels = uniform(f"cnn/{config.name}/input", (32, config.height, config.width, 1), low=0.0, high=1.0)
    return Golden(
        inputs={"pixels": pixels},
        outputs={"logits": forward(tree, pixels)},
        info={
            "model": "cnn",
            "variant": config.name,
            "weights": {**source, "digest": digest(tree)},
            "reference": {
                "implementation": "torch.nn.functional conv2d, avg_pool2d and linear, float64 rounded to float32",
                "versions": {"torch": torch.__version__.partition("+")[0]},
            },
            "dtype": "float32",
        },
    )


CASES = {config.name: partial(golden, config) for config in (DIGITS, LESSON)}
