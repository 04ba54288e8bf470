"""A product with a matrix [out, in], as PyTorch stores it.

Nothing is transposed while a checkpoint is loaded, and products of one or two rows read the matrix in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from flax import linen as nn

from zoo.layers.products import product

if TYPE_CHECKING:
    import jax


class Linear(nn.Module):
    """A matrix [out, in], and a bias where there is one."""

    inputs: int
    features: int
    dtype: str
    biased: bool = False
    alone: bool = True
    """As `zoo.layers.products.product` says."""

    def setup(self) -> None:
        dtype = jnp.dtype(self.dtype)
        self.weight = self.param("weight", nn.initializers.normal(0.02), (self.features, self.inputs), dtype)
        if self.biased:
            self.bias = self.param("bias", nn.initializers.zeros, (self.features,), dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, in] to [rows, out]."""
        y = product(x, self.weight, alone=self.alone)
        return y + self.bias if self.biased else y

    @property
    def parts(self) -> tuple[jax.Array, ...]:
        """The matrix, and the bias where there is one, for a product that is computed elsewhere."""
        return (self.weight, self.bias) if self.biased else (self.weight,)
