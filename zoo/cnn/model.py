"""The whole model: one convolution, ReLU, average pooling, one dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flax import linen as nn

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True, slots=True)
class CNNConfig:
    """Sizes of one variant; images are [height, width, 1]."""

    name: str
    height: int
    width: int
    features: int = 32
    num_labels: int = 10


DIGITS = CNNConfig("digits", 8, 8)
"""Trained on scikit-learn's digits."""

LESSON = CNNConfig("lesson", 28, 28)
"""The lesson's own size; it has no weights of its own, so these are made up."""

CONFIGS = {config.name: config for config in (DIGITS, LESSON)}


class CNN(nn.Module):
    """Convolution 3x3 named Conv_0, ReLU, average pooling 2x2, dense layer named Dense_0."""

    config: CNNConfig

    @nn.compact
    def __call__(self, pixels: jax.Array) -> jax.Array:
        """`pixels` [batch, height, width, 1], 0 to 1, to logits [batch, num_labels], float32."""
        x = nn.Conv(self.config.features, (3, 3), padding="SAME")(pixels)
        x = nn.relu(x)
        x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)  # row, column, channel: the order the dense layer was trained on
        return nn.Dense(self.config.num_labels)(x)
