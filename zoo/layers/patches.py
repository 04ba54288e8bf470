"""The tokens of an image: one for the whole, then one for each patch, row by row."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn


def patches_of(images: jax.Array, size: int) -> jax.Array:
    """`images` [batch, height, width, channels] as patches [batch, patches, size * size * channels], row by row."""
    batch, height, width, channels = images.shape
    rows, columns = height // size, width // size
    x = images.reshape(batch, rows, size, columns, size * channels).swapaxes(2, 3)
    return x.reshape(batch, rows * columns, size * size * channels)


class PatchEmbedding(nn.Module):
    """Images to tokens: a token of the class in front, and the place of each added.

    bias: whether the product of the patches has one.
    """

    hidden: int
    image_size: int
    patch_size: int
    channels: int
    bias: bool

    @property
    def tokens(self) -> int:
        """Tokens of an image."""
        return (self.image_size // self.patch_size) ** 2 + 1

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """`images` [batch, height, width, channels] to [batch * tokens, hidden]. ValueError for another size."""
        batch, hidden, numbers = images.shape[0], self.hidden, self.patch_size**2 * self.channels
        expected = (self.image_size, self.image_size, self.channels)
        if images.shape[1:] != expected:
            raise ValueError(f"images are {images.shape[1:]}, expected {expected}: scale and crop them")
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (numbers, hidden))
        cls = self.param("class", nn.initializers.normal(0.02), (hidden,))
        position = self.param("position", nn.initializers.normal(0.02), (self.tokens, hidden))
        # A product, not a convolution: of that, cards have run out of L1.
        x = patches_of(images.astype(kernel.dtype), self.patch_size).reshape(-1, numbers) @ kernel
        if self.bias:
            x = x + self.param("bias", nn.initializers.zeros_init(), (hidden,))
        x = jnp.concatenate([jnp.broadcast_to(cls, (batch, 1, hidden)), x.reshape(batch, -1, hidden)], axis=1)
        return (x + position).reshape(-1, hidden)
