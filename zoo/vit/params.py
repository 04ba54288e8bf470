"""Parameters of ViT: what each tensor of a checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.checkpoints import rules
from zoo.checkpoints.hub import Source
from zoo.checkpoints.loading import KeyMap, Rule, convert_tensors
from zoo.checkpoints.synthetic import coarse_uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from zoo.vit.model import ViTConfig

# The commit of the large one is not known here; give its files by directory.
SOURCES = {"vit-base-patch16-224": Source("google/vit-base-patch16-224", "3f49326eb077187dfe1c2a2bb15fbd74e6ab91e3")}

_EMBEDDINGS = r"vit\.embeddings\."
_PATCHES = _EMBEDDINGS + r"patch_embeddings\.projection\."
_LAYER = r"vit\.encoder\.layer\.(\d+)\."


def _row(tensor: np.ndarray, config: ViTConfig) -> np.ndarray:
    """[1, 1, hidden] to [hidden]."""
    return tensor.reshape(-1)


def _rows(tensor: np.ndarray, config: ViTConfig) -> np.ndarray:
    """[1, tokens, hidden] to [tokens, hidden]."""
    return tensor.reshape(tensor.shape[1:])


KEY_MAP = KeyMap(
    rules=(
        Rule(_EMBEDDINGS + r"cls_token", "params/patches/class", _row),
        Rule(_EMBEDDINGS + r"position_embeddings", "params/patches/position", _rows),
        Rule(_PATCHES + "weight", "params/patches/kernel", rules.patches),
        Rule(_PATCHES + "bias", "params/patches/bias"),
        *rules.norm(_LAYER + r"layernorm_before", "layer_{0}/attention_norm"),
        *rules.attention(
            (
                _LAYER + r"attention\.attention\.query",
                _LAYER + r"attention\.attention\.key",
                _LAYER + r"attention\.attention\.value",
                _LAYER + r"attention\.output\.dense",
            ),
            "layer_{0}",
        ),
        *rules.norm(_LAYER + r"layernorm_after", "layer_{0}/norm"),
        *rules.dense(_LAYER + r"intermediate\.dense", "layer_{0}/up"),
        *rules.dense(_LAYER + r"output\.dense", "layer_{0}/down"),
        *rules.norm(r"vit\.layernorm", "norm"),
        *rules.dense("classifier", "classifier"),
    )
)


def key_map(config: ViTConfig) -> KeyMap:
    """The key map of ViTForImageClassification; the same for all sizes."""
    return KEY_MAP


def hub_config(config: ViTConfig) -> dict[str, Any]:
    """The config.json of a checkpoint of `config`."""
    labels = [f"label {index}" for index in range(config.num_labels)]
    return {
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "hidden_act": "gelu",
        "hidden_size": config.hidden_size,
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "image_size": config.image_size,
        "intermediate_size": config.intermediate_size,
        "label2id": {label: index for index, label in enumerate(labels)},
        "layer_norm_eps": config.layer_norm_eps,
        "num_attention_heads": config.num_attention_heads,
        "num_channels": config.num_channels,
        "num_hidden_layers": config.num_hidden_layers,
        "patch_size": config.patch_size,
        "qkv_bias": True,
    }


SIZE = 0.03
"""About how large hidden states are: so small that the epsilon of each normalisation shows."""


def synthetic_checkpoint(config: ViTConfig, seed: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Names and float32 tensors of a made-up checkpoint, as ViTForImageClassification is saved.

    Scores spread by about 2, and biases are nearly as large as the products: attention is far from uniform and every
    part shows in the logits. Branches are smaller the more layers there are.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    branch = SIZE * math.sqrt(2.0 / config.num_hidden_layers)

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        stream = f"vit/{config.name}/{name}"
        return name, coarse_uniform(stream, shape, low=middle - bound, high=middle + bound, seed=seed)

    def dense(name: str, outputs: int, inputs: int, gain: float, bias: float) -> Iterator[tuple[str, np.ndarray]]:
        """`gain`: standard deviation of an output for inputs of 1."""
        yield tensor(f"{name}.weight", (outputs, inputs), gain * math.sqrt(3.0 / inputs))
        yield tensor(f"{name}.bias", (outputs,), bias * gain)

    def norm(name: str) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.weight", (hidden,), 0.5, middle=1.0)
        yield tensor(f"{name}.bias", (hidden,), 0.5)

    patch, tokens = config.patch_size, (config.image_size // config.patch_size) ** 2 + 1
    numbers = config.num_channels * patch * patch
    yield tensor("vit.embeddings.cls_token", (1, 1, hidden), 2.0 * SIZE)
    yield tensor("vit.embeddings.position_embeddings", (1, tokens, hidden), SIZE)
    projection = "vit.embeddings.patch_embeddings.projection"
    kernel = (hidden, config.num_channels, patch, patch)
    yield tensor(f"{projection}.weight", kernel, 3.0 * SIZE * math.sqrt(3.0 / numbers))
    yield tensor(f"{projection}.bias", (hidden,), SIZE)
    for index in range(config.num_hidden_layers):
        layer = f"vit.encoder.layer.{index}"
        yield from norm(f"{layer}.layernorm_before")
        yield from dense(f"{layer}.attention.attention.query", hidden, hidden, 1.3, 1.0)
        yield from dense(f"{layer}.attention.attention.key", hidden, hidden, 1.3, 0.5)
        yield from dense(f"{layer}.attention.attention.value", hidden, hidden, 1.0, 0.6)
        yield from dense(f"{layer}.attention.output.dense", hidden, hidden, 2.0 * branch, 0.5)
        yield from norm(f"{layer}.layernorm_after")
        yield from dense(f"{layer}.intermediate.dense", inner, hidden, 1.0, 0.5)
        yield from dense(f"{layer}.output.dense", hidden, inner, 2.0 * branch, 0.4)
    yield from norm("vit.layernorm")
    yield from dense("classifier", config.num_labels, hidden, 1.0, 0.4)


def synthetic_params(config: ViTConfig, seed: int = 0) -> dict[str, Any]:
    """Parameters (NumPy) of the made-up checkpoint, with which the goldens of `config` were made."""
    return convert_tensors(synthetic_checkpoint(config, seed), config, KEY_MAP)
