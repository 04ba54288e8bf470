"""The masked language model head of BERT's kind: a dense layer with GELU, a normalisation, and the table of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers import encoder

if TYPE_CHECKING:
    from zoo.layers.encoder import EncoderConfig

    class MaskedLMConfig(EncoderConfig, Protocol):
        """The sizes of an encoder with this head."""

        @property
        def padded_vocab_size(self) -> int: ...


class Decoder(nn.Module):
    """Hidden states to one logit a token of the vocabulary, by the table of word embeddings and a bias of its own."""

    words: int

    @nn.compact
    def __call__(self, x: jax.Array, table: jax.Array) -> jax.Array:
        """`x` [tokens, hidden], `table` [words, hidden] to [tokens, words]."""
        return jnp.einsum("th,wh->tw", x, table) + self.param("bias", nn.initializers.zeros_init(), (self.words,))


def logits(config: MaskedLMConfig, x: jax.Array, table: jax.Array, *, initializing: bool) -> jax.Array:
    """`x` [tokens, hidden] of the last layer to [tokens, words], by the rows of `table` [words, hidden].

    Called by a module of flax, whose parameters are then ``transform``, ``transform_norm`` and ``decoder``.
    """
    spec = P("batch", None)
    gelu = encoder.on_each_chip(encoder.gelu, None if initializing else config.mesh, spec, spec)
    x = gelu(nn.Dense(config.hidden_size, name="transform")(x))
    x = encoder.layer_norm(config, "transform_norm")(x)
    found: jax.Array = Decoder(config.padded_vocab_size, name="decoder")(x, table)
    return found
