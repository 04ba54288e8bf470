"""The tokens of an image: one for the whole, then one for each patch, row by row."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn


def patches_of(images: jax.Array, size: int) -> jax.Array:
    """`images` [batch, height, width, channels] as their patches [batch, patches, size * size * channels], row by row."""
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
        """`images` float32 [batch, height, width, channels] to [batch * tokens, hidden]; ValueError for another size."""
        batch, hidden, numbers = images.shape[0], self.hidden, self.patch_size**2 * self.channels
        expected = (self.image_size, self.image_size, self.channels)
        if images.shape[1:] != expected:
            raise ValueError(f"images are {images.shape[1:]}, expected {expected}: scale and crop them")
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (numbers, hidden))
        added = jnp.zeros((hidden,), kernel.dtype)
        if self.bias:
            added = self.param("bias", nn.initializers.zeros_init(), (hidden,))
        cls = self.param("class", nn.initializers.normal(0.02), (hidden,))
        position = self.param("position", nn.initializers.normal(0.02), (self.tokens, hidden))
        # Of parameters alone, so the chip computes it once: what is added to each token, the class among them.
        table = position + jnp.concatenate([cls[None], jnp.broadcast_to(added, (self.tokens - 1, hidden))])
        table = jnp.broadcast_to(table, (batch, self.tokens, hidden)).reshape(-1, hidden)
        # The token of the class is a patch of zeros, of which the product is 0.
        x = jnp.pad(patches_of(images.astype(kernel.dtype), self.patch_size), ((0, 0), (1, 0), (0, 0)))
        return x.reshape(batch * self.tokens, numbers) @ kernel + table
