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
    """Sizes of one variant; images are [image_size, image_size, 3], cut into squares of `patch_size` pixels.

    Fields are named as in transformers' configs, the two widths of the MLPs as in google-research/vision_transformer.
    """

    name: str
    image_size: int
    patch_size: int
    num_hidden_layers: int
    hidden_size: int
    tokens_mlp_dim: int
    channels_mlp_dim: int
    num_labels: int = 1000

    @property
    def tokens(self) -> int:
        """Patches of an image."""
        return (self.image_size // self.patch_size) ** 2


TINY = MixerConfig(
    "tiny", 16, 4, num_hidden_layers=2, hidden_size=32, tokens_mlp_dim=24, channels_mlp_dim=64, num_labels=10
)
"""For tests."""

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        MixerConfig(
            "Mixer-B_32", 224, 32, num_hidden_layers=12, hidden_size=768, tokens_mlp_dim=384, channels_mlp_dim=3072
        ),
        MixerConfig(
            "Mixer-B_16", 224, 16, num_hidden_layers=12, hidden_size=768, tokens_mlp_dim=384, channels_mlp_dim=3072
        ),
        MixerConfig(
            "Mixer-L_16", 224, 16, num_hidden_layers=24, hidden_size=1024, tokens_mlp_dim=512, channels_mlp_dim=4096
        ),
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
        """`x` [batch, tokens, hidden_size] to the same shape."""
        y = jnp.swapaxes(nn.LayerNorm()(x), 1, 2)
        x = x + jnp.swapaxes(MLP(self.config.tokens_mlp_dim, name="token_mixing")(y), 1, 2)
        y = nn.LayerNorm()(x)
        return x + MLP(self.config.channels_mlp_dim, name="channel_mixing")(y)


class Mixer(nn.Module):
    """Patches, blocks named MixerBlock_0, MixerBlock_1, …, the mean over the patches and one dense layer."""

    config: MixerConfig

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """`images` [batch, image_size, image_size, 3], -1 to 1, to logits [batch, num_labels], float32."""
        config, size = self.config, (self.config.patch_size, self.config.patch_size)
        x = nn.Conv(config.hidden_size, size, strides=size, padding="VALID", name="stem")(images)
        x = x.reshape(len(x), config.tokens, config.hidden_size)  # row by row
        for index in range(config.num_hidden_layers):
            x = MixerBlock(config, name=f"MixerBlock_{index}")(x)
        x = nn.LayerNorm(name="pre_head_layer_norm")(x)
        return nn.Dense(config.num_labels, name="head")(x.mean(axis=1))
