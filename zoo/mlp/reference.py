"""The independent reference: PyTorch in float64, rounded to float32 at the end. Needs the extra ``reference``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import uniform
from zoo.mlp import params
from zoo.mlp.model import DENSE, MEGATRON, SUM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.mlp.model import MLPConfig


def forward(tree: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Outputs [rows, widths[-1]] float32 of the layers in `tree`, computed by torch.nn.functional."""
    import torch

    layers = tree["params"]
    value = torch.from_numpy(x).double()
    for index in range(len(layers)):
        layer = {name: torch.from_numpy(np.array(leaf)).double() for name, leaf in layers[f"Dense_{index}"].items()}
        if index:
            value = torch.nn.functional.relu(value)
        value = torch.nn.functional.linear(value, layer["kernel"].T, layer.get("bias"))
    return np.asarray(value.float().numpy())


def made_up_inputs(config: MLPConfig) -> np.ndarray:
    """Rows that all differ (the tutorial's rows of ones would hide a wrong order), [rows, widths[0]] float32."""
    if config is not SUM:
        rows = 8 if config is DENSE else 32
        return uniform(f"mlp/{config.name}/input", (rows, config.widths[0]), low=-1.75, high=1.75)
    x = uniform("mlp/sum/golden", (64, config.widths[0]), low=-5.0, high=5.0)
    x[0] = (1.0, 2.0, 3.0, 4.0)  # the tutorial's own
    return x


def golden(config: MLPConfig) -> Golden:
    """The golden of one variant, computed now."""
    import torch

    if config is SUM:
        tree = params.recorded()
        source: dict[str, Any] = {"kind": "file", "file": f"weights/{params.RECORDED.name}"}
    else:
        tree = params.synthetic_params(config)
        source = {"kind": "synthetic", "seed": 0}
    x = made_up_inputs(config)
    return Golden(
        inputs={"x": x},
        outputs={"output": forward(tree, x)},
        info={
            "model": "mlp",
            "variant": config.name,
            "weights": {**source, "digest": digest(tree)},
            "reference": {
                "implementation": "torch.nn.functional linear and relu, float64 rounded to float32",
                "versions": {"torch": torch.__version__.partition("+")[0]},
            },
            "dtype": "float32",
        },
    )


CASES = {config.name: partial(golden, config) for config in (DENSE, MEGATRON, SUM)}
