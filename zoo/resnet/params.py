"""Parameters: from which tensors of a Hugging Face checkpoint they come, and made-up checkpoints for goldens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import ml_dtypes
import numpy as np

from zoo.checkpoints.config_check import refusals
from zoo.checkpoints.loading import KeyMap, Rule, Unused, convert_tensors
from zoo.checkpoints.synthetic import integers, uniform
from zoo.resnet.config_keys import KEYS
from zoo.resnet.model import REDUCTION, ResNet, ResNetConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Where a convolution with its batch norm is in a checkpoint (a pattern), and which module it is here.
_PLACES = {
    r"resnet\.embedder\.embedder": "stem",
    r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)": "stage_{0}_layer_{1}/conv_{2}",
    r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut": "stage_{0}_layer_{1}/shortcut",
}
_NORM = {
    "weight": ("params", "scale"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}


def _kernel(weight: np.ndarray, config: ResNetConfig) -> np.ndarray:
    """[outputs, inputs, height, width] to [height, width, inputs, outputs]; 1x1 to [inputs, outputs]."""
    if weight.ndim == 4 and weight.shape[2:] == (1, 1):
        return weight[:, :, 0, 0].T
    return weight.transpose(2, 3, 1, 0)


def _transposed(weight: np.ndarray, config: ResNetConfig) -> np.ndarray:
    return weight.T


def key_map(config: ResNetConfig) -> KeyMap:
    """Which tensor of a checkpoint of ResNetForImageClassification becomes which parameter."""
    rules = [
        Rule(r"classifier\.1\.weight", "params/classifier/kernel", _transposed),
        Rule(r"classifier\.1\.bias", "params/classifier/bias"),
    ]
    for pattern, module in _PLACES.items():
        rules.append(Rule(rf"{pattern}\.convolution\.weight", f"params/{module}/convolution/kernel", _kernel))
        for suffix, (collection, leaf) in _NORM.items():
            path = f"{collection}/{module}/normalization/{leaf}"
            rules.append(Rule(rf"{pattern}\.normalization\.{suffix}", path))
    return KeyMap(rules=tuple(rules), unused=(Unused(r".*\.num_batches_tracked", "steps of training, counted"),))


class Convolution(NamedTuple):
    """A convolution of a checkpoint, with its batch norm."""

    name: str
    shape: tuple[int, int, int, int]
    """Outputs, inputs, height, width."""
    summed: int
    """How many parts its input is the sum of: 1, and one more for each residual layer since the last projection."""


def convolutions(config: ResNetConfig) -> Iterator[Convolution]:
    """Every convolution of a checkpoint, in its order."""
    yield Convolution("resnet.embedder.embedder", (config.embedding_size, config.num_channels, 7, 7), 1)
    inputs, summed = config.embedding_size, 1
    for stage, (depth, outputs) in enumerate(zip(config.depths, config.hidden_sizes, strict=True)):
        for layer in range(depth):
            name = f"resnet.encoder.stages.{stage}.layers.{layer}"
            projects = layer == 0 and (stage > 0 or inputs != outputs)
            if projects:
                yield Convolution(f"{name}.shortcut", (outputs, inputs, 1, 1), summed)
            if config.layer_type == "bottleneck":
                inner = outputs // REDUCTION
                shapes = [(inner, inputs, 1, 1), (inner, inner, 3, 3), (outputs, inner, 1, 1)]
            else:
                shapes = [(outputs, inputs, 3, 3), (outputs, outputs, 3, 3)]
            for index, shape in enumerate(shapes):
                yield Convolution(f"{name}.layer.{index}", shape, 1 if index else summed)
            inputs, summed = outputs, 2 if projects else summed + 1


def synthetic_checkpoint(config: ResNetConfig, seed: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Made-up tensors of a whole checkpoint, by the names that transformers gives them.

    What makes them fit to tell right from wrong: variances span 1e-3 to 1, so that batch norm's epsilon counts, and
    each output channel of a convolution has the size that its variance says; means, scales and biases are as large as
    what they act on. Weights of an output channel sum to nothing: else what all images have in common, the positive
    mean after ReLU, grows from layer to layer until the logits of all images are the same.
    """

    def draw(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
        return uniform(f"resnet/{config.name}/{name}", shape, low=low, high=high, seed=seed)

    for name, shape, summed in convolutions(config):
        channels = shape[:1]
        # Products and sums of whole numbers only: exp, and sums in float32, round differently from machine to machine.
        deviation = draw(f"{name}.normalization.running_var", channels, 0.18, 1.0) ** 2
        weights = integers(f"resnet/{config.name}/{name}.convolution.weight", shape, GRAIN, seed=seed)
        count = math.prod(shape[1:])
        weights = weights * count - weights.sum(axis=(1, 2, 3), keepdims=True)
        unit = 2.0 * GAIN * math.sqrt(3.0 / (count * summed)) / (GRAIN * count)
        yield f"{name}.convolution.weight", (weights * unit).astype(np.float32) * deviation[:, None, None, None]
        yield f"{name}.normalization.weight", draw(f"{name}.normalization.weight", channels, 0.5, 1.5)
        yield f"{name}.normalization.bias", draw(f"{name}.normalization.bias", channels, -0.5, 0.5)
        mean = draw(f"{name}.normalization.running_mean", channels, -0.5, 0.5)
        yield f"{name}.normalization.running_mean", mean * deviation
        yield f"{name}.normalization.running_var", deviation * deviation
        yield f"{name}.normalization.num_batches_tracked", np.zeros((), np.int64)
    features = config.hidden_sizes[-1]
    bound = math.sqrt(3.0 / features)
    yield "classifier.1.weight", draw("classifier.1.weight", (config.num_labels, features), -bound, bound)
    yield "classifier.1.bias", draw("classifier.1.bias", (config.num_labels,), -0.5, 0.5)


GAIN = 1.5
"""Keeps activations of about equal size through ReLU. Much less, and the logits of all images become the same; much
more, and rounding grows from layer to layer like every other difference (resnet-50 in float32: 6e-7 of the logits at
1.4, 2e-6 at 1.5, 2e-5 at 1.7)."""

GRAIN = 1 << 16
"""Made-up weights are multiples of this part of their range."""


def synthetic_params(config: ResNetConfig, seed: int = 0) -> dict[str, Any]:
    """The variables of ``ResNet(config)`` with the made-up checkpoint in them: NumPy leaves, float32."""
    return convert_tensors(dict(synthetic_checkpoint(config, seed)), config, key_map(config), shapes(config))


def rounded(tensors: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    """`tensors` with the weights of convolutions rounded to bfloat16, in float32 all the same."""
    for name, values in tensors:
        kept = values.astype(ml_dtypes.bfloat16).astype(np.float32) if name.endswith("convolution.weight") else values
        yield name, kept


def rounded_params(config: ResNetConfig) -> dict[str, Any]:
    """As `synthetic`, of the `rounded` checkpoint."""
    return convert_tensors(dict(rounded(synthetic_checkpoint(config))), config, key_map(config), shapes(config))


def example(config: ResNetConfig) -> dict[str, np.ndarray]:
    """Inputs by name: one small image (any size from 32 on gives the same parameters)."""
    return {"pixel_values": np.zeros((1, 32, 32, config.num_channels), np.float32)}


def usual(config: ResNetConfig) -> dict[str, np.ndarray]:
    """One image of the size that published weights are for."""
    return {"pixel_values": np.zeros((1, 224, 224, config.num_channels), np.float32)}


def shapes(config: ResNetConfig) -> Any:
    """The variables of ``ResNet(config)`` as a tree of jax.ShapeDtypeStruct; computes nothing."""
    inputs = example(config)
    return jax.eval_shape(lambda: ResNet(config).init(jax.random.key(0), inputs["pixel_values"]))


def hub_config(config: ResNetConfig) -> dict[str, Any]:
    """What the config.json of a checkpoint of this variant says."""
    labels = [f"label {index}" for index in range(config.num_labels)]
    return {
        "architectures": ["ResNetForImageClassification"],
        "depths": list(config.depths),
        "downsample_in_bottleneck": False,
        "downsample_in_first_stage": False,
        "embedding_size": config.embedding_size,
        "hidden_act": "relu",
        "hidden_sizes": list(config.hidden_sizes),
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "layer_type": config.layer_type,
        "model_type": "resnet",
        "num_channels": config.num_channels,
    }


def read_config(name: str, content: Mapping[str, Any]) -> ResNetConfig:
    """The config of the checkpoint `name` from its config.json. ValueError if it is of a model that this is not."""
    wrong = refusals(KEYS.keys, content)
    if wrong:
        raise ValueError(f"{name}: config.json is not of a ResNet that is known here: {', '.join(wrong)}")
    return ResNetConfig(
        name,
        str(content.get("layer_type", "bottleneck")),
        tuple(content.get("depths", (3, 4, 6, 3))),
        tuple(content.get("hidden_sizes", (256, 512, 1024, 2048))),
        embedding_size=int(content.get("embedding_size", 64)),
        num_channels=int(content.get("num_channels", 3)),
        num_labels=len(content["id2label"]) if "id2label" in content else int(content.get("num_labels", 2)),
    )
