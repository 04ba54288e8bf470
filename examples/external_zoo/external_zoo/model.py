"""MLP-Mixer (Tolstikhin et al., 2021, arXiv 2105.01601): image classification by dense layers alone.

Parameters are named as in google-research/vision_transformer, so its published arrays fit by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
from flax import linen as nn

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True, slots=True)
class MixerConfig:
    """Sizes of one variant; images are [image, image, 3], cut into squares of `patch` pixels."""

    name: str
    image: int
    patch: int
    blocks: int
    channels: int
    token_hidden: int
    channel_hidden: int
    classes: int = 1000

    @property
    def tokens(self) -> int:
        """Patches of an image."""
        return (self.image // self.patch) ** 2


TINY = MixerConfig("tiny", 16, 4, blocks=2, channels=32, token_hidden=24, channel_hidden=64, classes=10)
"""For tests."""

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        MixerConfig("Mixer-B_32", 224, 32, blocks=12, channels=768, token_hidden=384, channel_hidden=3072),
        MixerConfig("Mixer-B_16", 224, 16, blocks=12, channels=768, token_hidden=384, channel_hidden=3072),
        MixerConfig("Mixer-L_16", 224, 16, blocks=24, channels=1024, token_hidden=512, channel_hidden=4096),
    )
}
"""By upstream's names; the paper writes B/32, B/16 and L/16."""


def gelu(x: jax.Array) -> jax.Array:
    """GELU by tanh, as upstream trained with it."""
    return nn.gelu(x, approximate=True)


class MLP(nn.Module):
    """Two dense layers named Dense_0 and Dense_1 over the last axis, which keeps its length."""

    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [..., length] to the same shape."""
        hidden = gelu(nn.Dense(self.hidden)(x))
        return nn.Dense(x.shape[-1])(hidden)


class MixerBlock(nn.Module):
    """One MLP over the patches of each channel, then one over the channels of each patch, each with a way around."""

    config: MixerConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [batch, tokens, channels] to the same shape."""
        y = jnp.swapaxes(nn.LayerNorm()(x), 1, 2)
        x = x + jnp.swapaxes(MLP(self.config.token_hidden, name="token_mixing")(y), 1, 2)
        y = nn.LayerNorm()(x)
        return x + MLP(self.config.channel_hidden, name="channel_mixing")(y)


class Mixer(nn.Module):
    """Patches, blocks named MixerBlock_0, MixerBlock_1, …, the mean over the patches and one dense layer."""

    config: MixerConfig

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """`images` [batch, image, image, 3], -1 to 1, to logits [batch, classes], float32."""
        config, size = self.config, (self.config.patch, self.config.patch)
        x = nn.Conv(config.channels, size, strides=size, padding="VALID", name="stem")(images)
        x = x.reshape(len(x), config.tokens, config.channels)  # row by row
        for index in range(config.blocks):
            x = MixerBlock(config, name=f"MixerBlock_{index}")(x)
        x = nn.LayerNorm(name="pre_head_layer_norm")(x)
        return nn.Dense(config.classes, name="head")(x.mean(axis=1))
