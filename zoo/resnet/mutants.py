"""Known mutants of ResNet, each of which its goldens must catch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.authoring.mutants import Leaves, Mutant, Mutants, changed, epsilon_of, lying, registered
from zoo.resnet import model as resnet
from zoo.resnet.model import BatchNorm, Block, ConvNorm, Convolution, ResNetConfig
from zoo.vision.images import Preparation

if TYPE_CHECKING:
    from collections.abc import Callable

CASE = "tiny"


def _swapped(one: str, other: str) -> Mutant:
    """Two variables of each batch norm taken for one another."""

    def params(leaves: Leaves) -> Leaves:
        found = dict(leaves)
        places = {name.partition("/")[2].rpartition("/")[0] for name in leaves if "/normalization/" in name}
        for place in places:
            first, second = (f"{kind}/{place}/{leaf}" for kind, _, leaf in (one.partition("/"), other.partition("/")))
            found[first], found[second] = leaves[second], leaves[first]
        return found

    return Mutant(params=params)


def _of(kind: type[nn.Module], method: Callable[..., Any]) -> Mutant:
    """A mutant of what modules of a kind do: `method` gets the module, its inputs and what it would do."""

    def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, kind) and context.method_name == "__call__":
            return method(context.module, *args, call)
        return call(*args, **kwargs)

    return Mutant(patch=lambda: nn.intercept_methods(intercept))


def _set(module: nn.Module, **fields: Any) -> None:
    """Change fields of a module that is being run, which linen forbids."""
    for name, value in fields.items():
        object.__setattr__(module, name, value)


def _shallower(config: ResNetConfig) -> ResNetConfig:
    return replace(config, depths=(config.depths[0], config.depths[1] - 1, *config.depths[2:]))


def _stride_as_in_v1(module: ConvNorm, x: Any, call: Any) -> Any:
    parent: Any = module.parent
    if isinstance(parent, Block) and parent.layer_type == "bottleneck" and module.name in ("conv_0", "conv_1"):
        _set(module, stride=parent.stride if module.name == "conv_0" else 1)
    return call(x)


def _halved_in_first_stage(module: Block, x: Any, call: Any) -> Any:
    if module.name == "stage_0_layer_0":
        _set(module, stride=2)
    return call(x)


def _same_padding(module: Convolution, x: Any, multiplier: Any, offset: Any, call: Any) -> Any:
    _set(module, padding="SAME")
    return call(x, multiplier, offset)


def _apart(normed: Callable[[ConvNorm, Any, Any], Any]) -> Mutant:
    """A mutant of batch norm as an op of its own: `normed` gets the module, what is convolved, the norm's variables.

    ReLU, where there is one, comes after it.
    """

    def method(module: ConvNorm, x: Any, call: Any) -> Any:
        def plain(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            result = call(*args, **kwargs)
            if isinstance(context.module, BatchNorm) and context.method_name == "__call__":
                multiplier, offset = result
                return jnp.ones_like(multiplier), jnp.zeros_like(offset)
            return result

        relu = module.relu
        _set(module, relu=False)
        with nn.intercept_methods(plain):
            convolved = call(x)
        variables: Any = module.variables
        norm = {**variables["params"]["normalization"], **variables["batch_stats"]["normalization"]}
        y = normed(module, convolved, norm).astype(x.dtype)
        return nn.relu(y) if relu else y

    return _of(ConvNorm, method)


def _normed(x: Any, norm: Any) -> Any:
    """Batch norm as its paper has it, in the dtype of `x` and of the variables."""
    unit = (x - norm["mean"]) * (1 / jnp.sqrt(norm["var"] + jnp.asarray(resnet.EPSILON, norm["var"].dtype)))
    return unit * norm["scale"] + norm["bias"]


def _statistics_of_batch(module: ConvNorm, x: Any, norm: Any) -> Any:
    return _normed(x, {**norm, "mean": x.mean((0, 1, 2)), "var": x.var((0, 1, 2))})


def _norm_in_bfloat16(module: ConvNorm, x: Any, norm: Any) -> Any:
    """All of batch norm in the dtype of what it gets: statistics, scale and bias too."""
    return _normed(x, {name: jnp.asarray(values, x.dtype) for name, values in norm.items()})


def _no_relu(*names: str) -> Mutant:
    def method(module: ConvNorm, x: Any, call: Any) -> Any:
        if module.name in names:
            _set(module, relu=False)
        return call(x)

    return _of(ConvNorm, method)


def _relu_before_sum(module: ConvNorm, x: Any, call: Any) -> Any:
    return call(x) if module.name == "shortcut" else nn.relu(call(x))


def _without_shortcut(kept: bool) -> Mutant:
    """Layers that give their input nothing but the convolutions; `kept`: those that project keep the projection."""
    inputs: list[Any] = []

    def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if context.method_name == "__call__" and isinstance(module, Block):
            inputs.append(args[0])
        result = call(*args, **kwargs)
        if context.method_name == "__call__" and isinstance(module, ConvNorm) and isinstance(module.parent, Block):
            last = not module.relu and module.name != "shortcut"
            if last and module.parent.stride == 1 and inputs[-1].shape == result.shape:
                return result - inputs[-1]  # the layer will add it
            if not kept and module.name == "shortcut":
                return jnp.zeros_like(result)
        return result

    return Mutant(patch=lambda: nn.intercept_methods(intercept))


def _head(pooled: Callable[[Any], Any]) -> Mutant:
    """The last layer's output, [batch, height, width, features], brought to one value a feature in another way."""
    outputs: list[Any] = []

    def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "__call__" and context.module.name == "classifier":
            args = (pooled(outputs[-1]),)
        result = call(*args, **kwargs)
        if context.method_name == "__call__" and isinstance(context.module, Block):
            outputs.append(result)
        return result

    return Mutant(patch=lambda: nn.intercept_methods(intercept))


def _pool(function: Any) -> Mutant:
    return Mutant(patch=lambda: mock.patch.object(nn, "max_pool", function))


def _activation(function: Any) -> Mutant:
    return Mutant(patch=lambda: mock.patch.object(nn, "relu", function))


def _epsilon(value: float) -> Mutant:
    return Mutant(patch=lambda: mock.patch.object(resnet, "EPSILON", value))


def _images(change: Callable[[Any], Any]) -> Mutant:
    return Mutant(inputs=lambda given: {"pixel_values": change(given["pixel_values"])})


def _turned(kernel: np.ndarray) -> np.ndarray:
    return kernel.swapaxes(0, 1) if kernel.ndim == 4 else kernel


def _flipped(kernel: np.ndarray) -> np.ndarray:
    return kernel[::-1, ::-1] if kernel.ndim == 4 else kernel


_MEAN, _STD = (np.asarray(values, np.float32) for values in (Preparation().mean, Preparation().std))

_max_pool: Any = nn.max_pool
_avg_pool: Any = nn.avg_pool

NORMS = (
    "stem",
    *(
        f"stage_{stage}_layer_{layer}/{convolution}"
        for stage, layer, convolution in (
            (0, 0, "conv_0"),
            (0, 0, "shortcut"),
            (0, 1, "conv_2"),
            (1, 0, "conv_1"),
            (1, 1, "conv_0"),
            (2, 0, "conv_2"),
            (2, 0, "shortcut"),
        )
    ),
)
"""Batch norms of the first, middle and last layers."""


BY_NAME: dict[str, Mutant] = {
    "the 1x1 halves the image, as in v1": _of(ConvNorm, _stride_as_in_v1),
    "the first stage halves the image": _of(Block, _halved_in_first_stage),
    "one layer too few": Mutant(config=_shallower),
    "batch norm's epsilon 1e-3": _epsilon(1e-3),
    "batch norm's epsilon 1e-6": _epsilon(1e-6),
    "recorded mean and variance swapped": _swapped("batch_stats/mean", "batch_stats/var"),
    "recorded mean and bias swapped": _swapped("batch_stats/mean", "params/bias"),
    "recorded variance taken for the deviation": changed("normalization/var", np.square),
    "no recorded mean": changed("normalization/mean", np.zeros_like),
    "no scale in the norms": changed("normalization/scale", np.ones_like),
    "no bias in the norms": changed("normalization/bias", np.zeros_like),
    "statistics of the batch": _apart(_statistics_of_batch),
    "no norm in the shortcut": _apart(lambda module, x, norm: x if module.name == "shortcut" else _normed(x, norm)),
    "ReLU before the norm": _apart(lambda module, x, norm: _normed(nn.relu(x), norm)),
    "no ReLU in the stem": _no_relu("stem"),
    "no ReLU between the convolutions": _no_relu("conv_0", "conv_1"),
    "ReLU before the sum": _of(ConvNorm, _relu_before_sum),
    "no ReLU at all": _activation(lambda x: x),
    "GELU instead of ReLU": _activation(nn.gelu),
    "no shortcut where shapes agree": _without_shortcut(kept=True),
    "no shortcut at all": _without_shortcut(kept=False),
    "convolutions padded on one side (SAME)": _of(Convolution, _same_padding),
    "pool padded on one side (SAME)": _pool(lambda x, window, strides, padding: _max_pool(x, window, strides, "SAME")),
    "average instead of maximum pool": _pool(_avg_pool),
    "no pool": _pool(lambda x, window, strides, padding: x[:, ::2, ::2]),
    "maximum instead of mean at the end": _head(lambda x: x.max((1, 2))),
    "sum instead of mean at the end": _head(lambda x: x.sum((1, 2))),
    "middle instead of mean at the end": _head(lambda x: x[:, x.shape[1] // 2, x.shape[2] // 2]),
    "no bias in the head": changed("classifier/bias", np.zeros_like),
    "kernels turned": changed("convolution/kernel", _turned),
    "kernels flipped": changed("convolution/kernel", _flipped),
    "images turned": _images(lambda x: x.swapaxes(1, 2)),
    "images mirrored": _images(lambda x: x[:, :, ::-1]),
    "images with channels first, reshaped": _images(lambda x: x.transpose(0, 3, 1, 2).reshape(x.shape)),
    "blue, green, red": _images(lambda x: x[..., ::-1]),
    "images not normalised": _images(lambda x: x * _STD + _MEAN),
    **{
        f"epsilon {value:.0e} in {place} alone": epsilon_of(f"{place}/normalization", value)
        for place in NORMS
        for value in (1e-3, 1e-6)
    },
    "epsilon 1e-3 in a net of basic layers": replace(_epsilon(1e-3), case="tiny-basic"),
    "ReLU before the sum in a net of basic layers": replace(_of(ConvNorm, _relu_before_sum), case="tiny-basic"),
    "no shortcut in a net of basic layers": replace(_without_shortcut(kept=True), case="tiny-basic"),
    "one-sided padding in a net of basic layers": replace(_of(Convolution, _same_padding), case="tiny-basic"),
    "epsilon 1e-6 in resnet-18": replace(_epsilon(1e-6), case="resnet-18"),
    "the 1x1 halves the image in resnet-50": replace(_of(ConvNorm, _stride_as_in_v1), case="resnet-50"),
    "batch norm in bfloat16": replace(_apart(_norm_in_bfloat16), case="bfloat16"),
    "resnet-34 registered with depths of resnet-18": registered("resnet-34", depths=(2, 2, 2, 2)),
    "resnet-50 registered with an embedding of 32": registered("resnet-50", embedding_size=32),
    "resnet-101 registered with depths of resnet-50": registered("resnet-101", depths=(3, 4, 6, 3)),
    "resnet-152 registered with 21,843 labels": registered("resnet-152", num_labels=21843),
    "resnet-18 registered with bottlenecks": registered("resnet-18", layer_type="bottleneck"),
    "images on one axis only": lying("input_specs", "pixel_values", P("batch")),
    "images on every chip": lying("input_specs", "pixel_values", P()),
    "logits on one axis only": lying("output_specs", "logits", P("batch")),
    "parameters spread over model": lying("param_specs", "params", P("model")),
}

WITHIN_HW_BOUNDS = {"batch norm in bfloat16", *(name for name in BY_NAME if "epsilon" in name)}
WITHIN_HW_BOUNDS -= {"batch norm's epsilon 1e-3"}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
