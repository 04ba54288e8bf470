"""The whole model: ResNet v1.5 as transformers' ResNetForImageClassification computes it, for inference.

v1.5: where a bottleneck halves the image, its 3x3 convolution does, not the 1x1 before it. Arrays are
[batch, height, width, channels]; padding is symmetric, as PyTorch's (``SAME`` would pad even images on one side only).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from zoo.layers.precision import Precision

if TYPE_CHECKING:
    from collections.abc import Sequence

EPSILON = 1e-5
"""What batch norm adds to the variance: PyTorch's default, which transformers keeps."""


IMAGES = "that of the images"
PRECISION = Precision(activations=IMAGES, residual=IMAGES, heads="none", scores="none", outputs="float32")
"""Multiplier and offset of a normalisation are float32: variances span decades. Then a kernel is rounded once."""


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Sizes of one variant, named as in the checkpoint's config.json. ValueError where they do not fit together."""

    name: str
    layer_type: str
    """``basic`` (two 3x3 convolutions) or ``bottleneck`` (1x1, 3x3, 1x1)."""
    depths: tuple[int, ...]
    hidden_sizes: tuple[int, ...]
    embedding_size: int = 64
    num_channels: int = 3
    num_labels: int = 1000

    def __post_init__(self) -> None:
        if self.layer_type not in ("basic", "bottleneck"):
            raise ValueError(f"{self.name}: layer_type is {self.layer_type!r}, expected basic or bottleneck")
        if len(self.depths) != len(self.hidden_sizes) or not self.depths or min(self.depths) < 1:
            raise ValueError(
                f"{self.name}: depths {self.depths} and hidden_sizes {self.hidden_sizes} must hold one entry a stage, "
                "each depth at least 1"
            )
        if self.layer_type == "bottleneck" and any(size % REDUCTION for size in self.hidden_sizes):
            raise ValueError(f"{self.name}: hidden_sizes {self.hidden_sizes} of bottlenecks must divide by {REDUCTION}")


REDUCTION = 4
"""How many times fewer channels the inside of a bottleneck has."""

_BASIC, _WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)

RESNET_18 = ResNetConfig("resnet-18", "basic", (2, 2, 2, 2), _BASIC)
RESNET_34 = ResNetConfig("resnet-34", "basic", (3, 4, 6, 3), _BASIC)
RESNET_50 = ResNetConfig("resnet-50", "bottleneck", (3, 4, 6, 3), _WIDE)
RESNET_101 = ResNetConfig("resnet-101", "bottleneck", (3, 4, 23, 3), _WIDE)
RESNET_152 = ResNetConfig("resnet-152", "bottleneck", (3, 8, 36, 3), _WIDE)

TINY = ResNetConfig("tiny", "bottleneck", (2, 2, 1), (32, 48, 64), embedding_size=16, num_labels=24)
"""For tests; bottlenecks with and without a shortcut that projects."""

TINY_BASIC = ResNetConfig("tiny-basic", "basic", (1, 2, 1), (16, 24, 32), embedding_size=16, num_labels=24)
"""For tests; like 18 and 34, the first layer has no shortcut that projects."""

CONFIGS = {
    config.name: config for config in (RESNET_18, RESNET_34, RESNET_50, RESNET_101, RESNET_152, TINY, TINY_BASIC)
}


class BatchNorm(nn.Module):
    """Batch norm with recorded statistics as what it does to a channel: ``x * multiplier + offset``."""

    epsilon: float

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        """Multiplier and offset, float32 [channels]: variances span decades."""
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        scale = self.param("scale", ones, (channels,), PRECISION.norms)
        bias = self.param("bias", zeros, (channels,), PRECISION.norms)
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), PRECISION.norms).value
        var = self.variable("batch_stats", "var", jnp.ones, (channels,), PRECISION.norms).value
        multiplier = scale * jax.lax.rsqrt(var + own(self.epsilon, self.path))
        return multiplier, bias - mean * multiplier


def own(constant: float, path: Sequence[str]) -> np.float32:
    """`constant` with last digits of its own for the module at `path`: it differs by less than 4e-5 of itself.

    TT's compiler computes the weights that share a constant in one step, and then holds all of them twice, in tiles and
    not: 12.7 GiB for ResNet-152, in place of 1.1.
    """
    steps = zlib.crc32("/".join(path).encode()) % 256
    return (np.float32(constant).view(np.int32) + np.int32(steps)).view(np.float32)


class Convolution(nn.Module):
    """Convolution whose output channels are multiplied by `multiplier` and moved by `offset`, then ReLU if `relu`.

    On the card the multiplier acts on the kernel, which is rounded once to the dtype of `x`: that product is of weights
    alone, and TT's compiler computes it once. Elsewhere that would be done at each call, so that it acts on what is
    convolved. Offset and ReLU are part of the convolution's op on the chip.
    """

    features: int
    kernel: int
    stride: int
    padding: Sequence[tuple[int, int]] | str
    relu: bool

    @nn.compact
    def __call__(self, x: jax.Array, multiplier: jax.Array, offset: jax.Array) -> jax.Array:
        """`x` [batch, height, width, channels], to `features` channels; height and width are divided by `stride`.

        `multiplier` and `offset` are [features], float32.
        """
        activation = nn.relu if self.relu else _unchanged
        size = () if self.kernel == 1 else (self.kernel, self.kernel)
        shape = (*size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, PRECISION.parameters)
        # Of a kernel of 1, a matrix product of pixels: on the CPU a quarter faster than the convolution, and on the
        # chip without the layout moves before and after it.
        x = x[:, :: self.stride, :: self.stride] if not size and self.stride > 1 else x

        def convolved(kernel: jax.Array) -> jax.Array:
            if not size:
                return flat(x) @ kernel.astype(x.dtype)
            stride, layout = (self.stride, self.stride), ("NHWC", "HWIO", "NHWC")
            y: jax.Array = jax.lax.conv_general_dilated(
                x, kernel.astype(x.dtype), stride, self.padding, dimension_numbers=layout
            )
            return y

        def of_weights(kernel: jax.Array, multiplier: jax.Array, offset: jax.Array) -> jax.Array:
            return convolved(kernel * multiplier) + offset.astype(x.dtype)

        def of_results(kernel: jax.Array, multiplier: jax.Array, offset: jax.Array) -> jax.Array:
            return (convolved(kernel) * multiplier + offset).astype(x.dtype)

        y: jax.Array = jax.lax.platform_dependent(kernel, multiplier, offset, tt=of_weights, default=of_results)
        y = activation(y)
        return y if size else y.reshape(*x.shape[:-1], self.features)


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm with recorded statistics, and ReLU if `relu`."""

    features: int
    kernel: int
    stride: int = 1
    relu: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [batch, height, width, channels], to `features` channels; height and width are divided by `stride`."""
        multiplier, offset = BatchNorm(EPSILON, name="normalization")(self.features)
        pad = self.kernel // 2
        padding = ((pad, pad), (pad, pad))
        convolution = Convolution(self.features, self.kernel, self.stride, padding, self.relu, name="convolution")
        return convolution(x, multiplier, offset)


def _unchanged(x: jax.Array) -> jax.Array:
    return x


def flat(x: jax.Array) -> jax.Array:
    """[batch, height, width, channels] as the chip holds it: [batch * height * width, channels]."""
    return x.reshape(-1, x.shape[-1])


class Block(nn.Module):
    """A residual layer: convolutions, plus the input (projected where shapes differ), then ReLU."""

    features: int
    layer_type: str
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [batch, height, width, channels], to `features` channels; height and width are divided by `stride`."""
        if self.layer_type == "bottleneck":
            inner = self.features // REDUCTION
            y = ConvNorm(inner, 1, name="conv_0")(x)
            y = ConvNorm(inner, 3, self.stride, name="conv_1")(y)
            y = ConvNorm(self.features, 1, relu=False, name="conv_2")(y)
        else:
            y = ConvNorm(self.features, 3, self.stride, name="conv_0")(x)
            y = ConvNorm(self.features, 3, relu=False, name="conv_1")(y)
        if self.stride > 1 or x.shape[-1] != self.features:
            x = ConvNorm(self.features, 1, self.stride, relu=False, name="shortcut")(x)
        return nn.relu(flat(y) + flat(x)).reshape(y.shape)


class ResNet(nn.Module):
    """Stem, stages of residual layers, mean over the image, and the dense layer that gives the labels' logits."""

    config: ResNetConfig

    @nn.compact
    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """`pixel_values` [batch, height, width, num_channels], normalised, to logits [batch, num_labels].

        Computes in the dtype of `pixel_values`, what batch norm does to a channel in float32; logits are float32.
        """
        config = self.config
        x = ConvNorm(config.embedding_size, 7, 2, name="stem")(pixel_values)
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage, (depth, features) in enumerate(zip(config.depths, config.hidden_sizes, strict=True)):
            for layer in range(depth):
                stride = 2 if stage > 0 and layer == 0 else 1
                x = Block(features, config.layer_type, stride, name=f"stage_{stage}_layer_{layer}")(x)
        x = x.astype(PRECISION.outputs).mean(axis=(1, 2))
        return nn.Dense(config.num_labels, name="classifier")(x)
