"""The whole model: CLIP (Radford et al., 2021), a tower for texts, one for images, and how well each fits each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers import encoder
from zoo.layers.fused import normalised, quick_gelu
from zoo.layers.masks import MASKED, causal_without_padding
from zoo.layers.patches import PatchEmbedding
from zoo.layers.precision import Precision
from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import AbstractMesh

PRECISION = Precision(outputs="float32")
"""Float32 as published; parameters in bfloat16 make a program in bfloat16, but for vectors of length 1 and what is
made of them."""


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Sizes of one tower, by transformers' names; `num_attention_heads` x `head_dim` is `hidden_size`, but for heads
    that were padded to fit a mesh.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    head_dim: int
    intermediate_size: int
    layer_norm_eps: float = 1e-5
    mesh: AbstractMesh | None = None
    """That heads and inner units lie on; None: one chip."""


@dataclass(frozen=True, slots=True)
class CLIPConfig:
    """Sizes of one variant, by transformers' names."""

    name: str
    text: TowerConfig
    vision: TowerConfig
    projection_dim: int
    patch_size: int
    image_size: int = 224
    num_channels: int = 3
    vocab_size: int = 49408
    max_position_embeddings: int = 77
    vocab_padding: int = 0
    """Rows behind those of the vocabulary, so that a mesh divides their number."""
    mesh: AbstractMesh | None = None
    """That images and texts lie on; None: one chip."""

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the word embeddings: those of tokens, then padding."""
        return self.vocab_size + self.vocab_padding

    @property
    def end_of_text(self) -> int:
        """The token that ends a text: the last one of the vocabulary."""
        return self.vocab_size - 1

    @property
    def num_hidden_layers(self) -> int:
        """Layers of both towers."""
        return self.text.num_hidden_layers + self.vision.num_hidden_layers


BASE = CLIPConfig(
    "clip-vit-base-patch32",
    text=TowerConfig(512, num_hidden_layers=12, num_attention_heads=8, head_dim=64, intermediate_size=2048),
    vision=TowerConfig(768, num_hidden_layers=12, num_attention_heads=12, head_dim=64, intermediate_size=3072),
    projection_dim=512,
    patch_size=32,
)
LARGE = CLIPConfig(
    "clip-vit-large-patch14",
    text=TowerConfig(768, num_hidden_layers=12, num_attention_heads=12, head_dim=64, intermediate_size=3072),
    vision=TowerConfig(1024, num_hidden_layers=24, num_attention_heads=16, head_dim=64, intermediate_size=4096),
    projection_dim=768,
    patch_size=14,
)
TINY = CLIPConfig(
    "tiny",
    text=TowerConfig(40, num_hidden_layers=2, num_attention_heads=5, head_dim=8, intermediate_size=70),
    vision=TowerConfig(48, num_hidden_layers=2, num_attention_heads=6, head_dim=8, intermediate_size=90),
    projection_dim=28,
    patch_size=8,
    image_size=24,
    vocab_size=97,
    max_position_embeddings=14,
)
"""For tests: 2, 4 or 8 chips divide little of it."""

CONFIGS = {config.name: config for config in (BASE, LARGE, TINY)}


def text_bias(mask: jax.Array) -> jax.Array:
    """What is added to scores: nothing for tokens up to oneself that `mask` [batch, tokens] has as 1."""
    return jnp.where(causal_without_padding(mask), 0.0, MASKED)


def at_first(ids: jax.Array, token: int, hidden: jax.Array) -> jax.Array:
    """What `hidden` [batch, tokens, hidden] has at the first `token` of each row of `ids`; NaN where there is none."""
    places, tokens = jnp.arange(ids.shape[1], dtype=jnp.float32), float(ids.shape[1])
    first = jnp.where(ids == token, places, tokens).min(axis=1, keepdims=True)
    # A product with ones and zeros: a gather of rows would be several operations.
    found = jnp.einsum("bt,bth->bh", (places == first).astype(hidden.dtype), hidden)
    return jnp.where(first < tokens, found, jnp.nan)


class Text(nn.Module):
    """The tower of texts."""

    config: CLIPConfig

    @nn.compact
    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array) -> jax.Array:
        """Two int32 arrays [batch, tokens] to [batch, hidden], at the end of each text."""
        config, tower = self.config, self.config.text
        (batch, tokens), hidden = input_ids.shape, tower.hidden_size
        if tokens > config.max_position_embeddings:
            raise ValueError(
                f"{tokens} tokens, but {config.name} knows {config.max_position_embeddings} positions: cut the text"
            )
        word = Embedding(config.vocab_size, config.padded_vocab_size, hidden, mesh=config.mesh, name="word")
        position = self.param("position", nn.initializers.normal(0.02), (config.max_position_embeddings, hidden))
        # Of parameters alone: the chip computes the rows of all tokens once.
        position = jnp.broadcast_to(position[:tokens], (batch, tokens, hidden)).reshape(-1, hidden)
        x = word(input_ids.reshape(-1)) + position
        bias = text_bias(attention_mask)
        for index in range(tower.num_hidden_layers):
            x = encoder.PreNormLayer(tower, activation=quick_gelu, name=f"layer_{index}")(x, bias)
        x = encoder.layer_norm(tower, "norm")(x)
        return at_first(input_ids, config.end_of_text, x.reshape(batch, tokens, hidden))


class Vision(nn.Module):
    """The tower of images."""

    config: CLIPConfig

    @nn.compact
    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """`pixel_values` float32 [batch, height, width, channels] to [batch, hidden], of the token of the class."""
        config, tower = self.config, self.config.vision
        embedding = PatchEmbedding(
            tower.hidden_size, config.image_size, config.patch_size, config.num_channels, bias=False, name="patches"
        )
        x = encoder.layer_norm(tower, "first_norm")(embedding(pixel_values))
        for index in range(tower.num_hidden_layers):
            layer = encoder.PreNormLayer(tower, activation=quick_gelu, tokens=embedding.tokens, name=f"layer_{index}")
            x = layer(x)
        first = x.reshape(-1, embedding.tokens, tower.hidden_size)[:, 0]
        found: jax.Array = encoder.layer_norm(tower, "norm")(first)
        return found


class CLIP(nn.Module):
    """CLIP of `config`."""

    config: CLIPConfig

    @nn.compact
    def __call__(
        self, input_ids: jax.Array, attention_mask: jax.Array, pixel_values: jax.Array
    ) -> dict[str, jax.Array]:
        """Texts and images, as many of each as the mesh divides, to named outputs.

        `input_ids` and `attention_mask` (1 for tokens, 0 for padding behind them) int32 [texts, tokens];
        `pixel_values` float32 [images, image_size, image_size, channels]. ``text_embeds`` [texts, projection_dim] and
        ``image_embeds`` [images, projection_dim] of length 1; ``logits_per_image`` [images, texts]: the cosines, times
        what the model was trained to. A text without its end, the last token of the vocabulary, gives NaN; so do
        tokens outside of it. ValueError for more tokens than positions, and images of another size.
        """
        config = self.config
        text = Text(config, name="text")(input_ids, attention_mask)
        image = Vision(config, name="vision")(pixel_values)
        texts = normalised(nn.Dense(config.projection_dim, use_bias=False, name="text_projection")(text))
        images = normalised(nn.Dense(config.projection_dim, use_bias=False, name="vision_projection")(image))
        scale = self.param("logit_scale", nn.initializers.constant(2.6592), (1,))
        mesh = None if self.is_initializing() else config.mesh
        of_all = encoder.on_each_chip(similarity(mesh), mesh, (P("batch"), P("batch"), P()), P("batch"))
        return {"logits_per_image": of_all(images, texts, scale), "image_embeds": images, "text_embeds": texts}


def similarity(mesh: AbstractMesh | None) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """The function of a chip's images and texts that gives the logits of each of its images with all texts."""

    def of_all(images: jax.Array, texts: jax.Array, scale: jax.Array) -> jax.Array:
        if mesh is not None and mesh.shape["batch"] > 1:
            texts = jax.lax.all_gather(texts, "batch", tiled=True)
        return jnp.einsum("id,td->it", images, texts * jnp.exp(scale.astype(PRECISION.outputs)))

    return of_all


def forward(module: CLIP) -> Callable[[Any, Any], dict[str, jax.Array]]:
    """`module` as a pure function of its parameters and its inputs by name."""

    def run(params: Any, inputs: Any) -> dict[str, jax.Array]:
        outputs: Any = module.apply(params, **inputs)
        return dict(outputs)

    return run
