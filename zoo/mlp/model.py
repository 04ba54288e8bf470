"""The whole model: dense layers with ReLU between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flax import linen as nn

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True, slots=True)
class MLPConfig:
    """Sizes of one variant: `widths` of the input, of each hidden layer, and of the output."""

    name: str
    widths: tuple[int, ...]
    bias: bool = True


DENSE = MLPConfig("dense", (8, 8), bias=False)
"""The tutorial's tensor-parallel layer: one square kernel, no bias."""

MEGATRON = MLPConfig("megatron", (64, 256, 64))
"""A transformer's MLP block: up and down again, whose second layer needs a sum over the chips."""

SUM = MLPConfig("sum", (4, 32, 1))
"""The net of the train-on-the-host workflow: learns the sum of four features."""

CONFIGS = {config.name: config for config in (DENSE, MEGATRON, SUM)}


class MLP(nn.Module):
    """Dense layers named Dense_0, Dense_1, … with ReLU between them."""

    config: MLPConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [batch, widths[0]] to [batch, widths[-1]], float32."""
        layers = self.config.widths[1:]
        for index, width in enumerate(layers):
            if index:
                x = nn.relu(x)
            x = nn.Dense(width, use_bias=self.config.bias, name=f"Dense_{index}")(x)
        return x
