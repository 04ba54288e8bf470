"""The MLP of Llama's kind (Shazeer, 2020): what one product gives is gated by the activation of another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
from flax import linen as nn

from zoo.layers.linear import Linear

if TYPE_CHECKING:
    from zoo.layers.decoder_config import DecoderConfig


class GatedMLP(nn.Module):
    """SwiGLU, or with the activation that the config names."""

    config: DecoderConfig

    def setup(self) -> None:
        config = self.config
        self.gate, self.up = (
            Linear(config.hidden_size, config.intermediate_size, config.dtype, alone=False),
            Linear(config.hidden_size, config.intermediate_size, config.dtype, alone=False),
        )
        self.down = Linear(config.intermediate_size, config.hidden_size, config.dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, hidden] to the same."""
        # Behind the barrier it is another input, so that TT's compiler does not make one product that it slices.
        gate = self.config.activation(self.gate(x), None if self.is_initializing() else self.config.mesh)
        return self.down(gate * self.up(jax.lax.optimization_barrier(x)))
