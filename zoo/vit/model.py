"""The whole model: ViT (Dosovitskiy et al., 2020) with its head that labels images, as Google published it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flax import linen as nn

from zoo.layers import encoder
from zoo.layers.patches import PatchEmbedding
from zoo.layers.precision import Precision

if TYPE_CHECKING:
    import jax
    from jax.sharding import AbstractMesh

PRECISION = Precision()
"""Float32 as published; parameters in bfloat16 make a program in bfloat16."""


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """Sizes of one variant, by transformers' names; `num_attention_heads` x `head_dim` is `hidden_size`, but for heads
    that were padded to fit a mesh.
    """

    name: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    head_dim: int
    intermediate_size: int
    image_size: int = 224
    patch_size: int = 16
    num_channels: int = 3
    num_labels: int = 1000
    layer_norm_eps: float = 1e-12
    mesh: AbstractMesh | None = None
    """That heads and inner units lie on; None: one chip."""


BASE = ViTConfig(
    "vit-base-patch16-224",
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    head_dim=64,
    intermediate_size=3072,
)
LARGE = ViTConfig(
    "vit-large-patch16-224",
    hidden_size=1024,
    num_hidden_layers=24,
    num_attention_heads=16,
    head_dim=64,
    intermediate_size=4096,
)
# Trained further with images of 384x384, and with patches of 32x32.
FINER = tuple(
    replace(config, name=f"vit-{size}-patch{patch}-384", patch_size=patch, image_size=384)
    for size, config in (("base", BASE), ("large", LARGE))
    for patch in (16, 32)
)
TINY = ViTConfig(
    "tiny",
    hidden_size=48,
    num_hidden_layers=3,
    num_attention_heads=6,
    head_dim=8,
    intermediate_size=90,
    image_size=24,
    patch_size=8,
    num_labels=11,
)
"""For tests: 4 or 8 chips divide little of it."""

CONFIGS = {config.name: config for config in (BASE, LARGE, *FINER, TINY)}


class ViT(nn.Module):
    """ViT of `config`."""

    config: ViTConfig

    @nn.compact
    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """`pixel_values` float32 [batch, image_size, image_size, channels] to logits [batch, num_labels].

        ValueError for images of another size.
        """
        config, batch = self.config, pixel_values.shape[0]
        embedding = PatchEmbedding(
            config.hidden_size, config.image_size, config.patch_size, config.num_channels, bias=True, name="patches"
        )
        x = embedding(pixel_values)
        for index in range(config.num_hidden_layers):
            x = encoder.PreNormLayer(config, tokens=embedding.tokens, name=f"layer_{index}")(x)
        first = x.reshape(batch, embedding.tokens, config.hidden_size)[:, 0]  # the token of the class
        logits: jax.Array = nn.Dense(config.num_labels, name="classifier")(encoder.layer_norm(config, "norm")(first))
        return logits
