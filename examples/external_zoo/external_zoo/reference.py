"""The independent reference: the paper's equations in plain NumPy and float64, rounded to float32 at the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from external_zoo.model import TINY
from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import uniform
from zoo.checkpoints.weights import nested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from external_zoo.model import MixerConfig


def shapes(config: MixerConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter by its path."""
    found: dict[str, tuple[int, ...]] = {}

    def dense(path: str, inputs: int, outputs: int) -> None:
        found.update({f"params/{path}/kernel": (inputs, outputs), f"params/{path}/bias": (outputs,)})

    def norm(path: str) -> None:
        found.update({f"params/{path}/{leaf}": (config.hidden_size,) for leaf in ("scale", "bias")})

    found["params/stem/kernel"] = (config.patch_size, config.patch_size, 3, config.hidden_size)
    found["params/stem/bias"] = (config.hidden_size,)
    for block in (f"MixerBlock_{index}" for index in range(config.num_hidden_layers)):
        norm(f"{block}/LayerNorm_0")
        norm(f"{block}/LayerNorm_1")
        for mlp, width, hidden in (
            ("token_mixing", config.tokens, config.tokens_mlp_dim),
            ("channel_mixing", config.hidden_size, config.channels_mlp_dim),
        ):
            dense(f"{block}/{mlp}/Dense_0", width, hidden)
            dense(f"{block}/{mlp}/Dense_1", hidden, width)
    norm("pre_head_layer_norm")
    dense("head", config.hidden_size, config.num_labels)
    return found


def synthetic_params(config: MixerConfig) -> dict[str, Any]:
    """Made-up float32 parameters, the same on every machine; large enough that every one of them shows."""

    def drawn(path: str, shape: tuple[int, ...]) -> np.ndarray:
        low, high = (0.5, 1.5) if path.endswith("scale") else (-0.5, 0.5)
        if len(shape) > 1:
            high = math.sqrt(6 / math.prod(shape[:-1]))
            low = -high
        return uniform(f"external_mixer/{config.name}/{path}", shape, low=low, high=high)

    return nested({path: drawn(path, shape) for path, shape in shapes(config).items()})


def gelu(x: np.ndarray) -> np.ndarray:
    """Hendrycks and Gimpel's approximation by tanh."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)))


def layer_norm(x: np.ndarray, leaves: Mapping[str, np.ndarray]) -> np.ndarray:
    """Of each column of `x` [channels, tokens]."""
    centred = x - x.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0) + 1e-6)
    return np.asarray(centred / spread * leaves["scale"][:, None] + leaves["bias"][:, None])


def mlp(x: np.ndarray, layers: Mapping[str, Any]) -> np.ndarray:
    """Of each column of `x`: W2 gelu(W1 x + b1) + b2."""
    first, second = layers["Dense_0"], layers["Dense_1"]
    hidden = gelu(first["kernel"].T @ x + first["bias"][:, None])
    return np.asarray(second["kernel"].T @ hidden + second["bias"][:, None])


def logits_of(image: np.ndarray, params: Mapping[str, Any], config: MixerConfig) -> np.ndarray:
    """Logits [num_labels] of one image [image_size, image_size, 3]; a column is a patch, as in the paper's figure 1."""
    side, patch = config.image_size // config.patch_size, config.patch_size
    columns = []
    for row in range(side):
        for column in range(side):
            cut = image[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
            columns.append(np.tensordot(params["stem"]["kernel"], cut, axes=((0, 1, 2), (0, 1, 2))))
    x = np.stack(columns, axis=1) + params["stem"]["bias"][:, None]  # [channels, tokens]
    for index in range(config.num_hidden_layers):
        block = params[f"MixerBlock_{index}"]
        x = x + mlp(layer_norm(x, block["LayerNorm_0"]).T, block["token_mixing"]).T
        x = x + mlp(layer_norm(x, block["LayerNorm_1"]), block["channel_mixing"])
    pooled = layer_norm(x, params["pre_head_layer_norm"]).mean(axis=1)
    return np.asarray(params["head"]["kernel"].T @ pooled + params["head"]["bias"])


def in_float64(tree: Any) -> Any:
    """The tree with leaves of float64."""
    if isinstance(tree, dict):
        return {name: in_float64(below) for name, below in tree.items()}
    return np.asarray(tree, np.float64)


def golden() -> Golden:
    """The golden of the variant ``tiny``, computed now."""
    tree = synthetic_params(TINY)
    images = uniform("external_mixer/tiny/input", (8, TINY.image_size, TINY.image_size, 3))
    params = in_float64(tree)["params"]
    logits = np.stack([logits_of(image, params, TINY) for image in images.astype(np.float64)])
    return Golden(
        inputs={"images": images},
        outputs={"logits": logits.astype(np.float32)},
        info={
            "model": "external_mixer",
            "variant": TINY.name,
            "weights": {"kind": "synthetic", "seed": 0, "digest": digest(tree)},
            "reference": {
                "implementation": "the paper's equations in NumPy, float64 rounded to float32",
                "versions": {"numpy": np.__version__},
            },
            "dtype": "float32",
        },
    )
