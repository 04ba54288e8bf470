"""The whole model: DistilBERT's encoder and its masked language model head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from zoo.layers import encoder, masked_lm
from zoo.layers.precision import Precision
from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import AbstractMesh


PRECISION = Precision()
"""Float32 as published; parameters in bfloat16 make a program in bfloat16."""


@dataclass(frozen=True, slots=True)
class DistilBertConfig:
    """Sizes of one variant, by BERT's names in transformers; `num_attention_heads` x `head_dim` is `hidden_size`, but
    for heads that were padded to fit a mesh.
    """

    name: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int = 30522
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12
    vocab_padding: int = 0
    """Rows behind those of the vocabulary, so that a mesh divides their number."""
    mesh: AbstractMesh | None = None
    """That the word embeddings lie on; None: one chip."""

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the word embeddings: those of tokens, then padding."""
        return self.vocab_size + self.vocab_padding


BASE = DistilBertConfig(
    "distilbert-base-uncased",
    hidden_size=768,
    num_hidden_layers=6,
    num_attention_heads=12,
    head_dim=64,
    intermediate_size=3072,
)
TINY = DistilBertConfig(
    "tiny",
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=3,
    head_dim=8,
    intermediate_size=50,
    vocab_size=97,
    max_position_embeddings=32,
)
"""For tests: 2, 4 or 8 chips divide little of it."""

CONFIGS = {config.name: config for config in (BASE, TINY)}


class DistilBert(nn.Module):
    """DistilBERT of `config`."""

    config: DistilBertConfig

    @nn.compact
    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array) -> dict[str, jax.Array]:
        """Two int32 arrays [batch, tokens] to named outputs; `attention_mask` is 1 for tokens and 0 for padding.

        ``hidden`` [batch, tokens, hidden] of the last layer, ``logits`` [batch, tokens, padded_vocab_size]. Ids
        outside the vocabulary give NaN; ValueError for more tokens than positions.
        """
        config = self.config
        tokens = input_ids.shape[1]
        if tokens > config.max_position_embeddings:
            raise ValueError(
                f"{tokens} tokens, but {config.name} knows {config.max_position_embeddings} positions: cut the text"
            )
        batch, hidden = input_ids.shape[0], config.hidden_size
        word = Embedding(
            config.vocab_size,
            config.padded_vocab_size,
            hidden,
            mesh=config.mesh,
            dtype=PRECISION.parameters,
            name="word",
        )
        position = self.param("position", nn.initializers.normal(0.02), (config.max_position_embeddings, hidden))
        # Of parameters alone: the chip computes the rows of all tokens once.
        position = jnp.broadcast_to(position[:tokens], (batch, tokens, hidden)).reshape(-1, hidden)
        x = encoder.layer_norm(config, "norm")(word(input_ids.reshape(-1)) + position)
        bias = encoder.attention_bias(attention_mask)
        for index in range(config.num_hidden_layers):
            x = encoder.Layer(config, name=f"layer_{index}")(x, bias)
        logits = masked_lm.logits(config, x, word.embedding, initializing=self.is_initializing())
        return {"hidden": x.reshape(batch, tokens, hidden), "logits": logits.reshape(batch, tokens, -1)}


def forward(module: DistilBert) -> Callable[[Any, Any], dict[str, jax.Array]]:
    """`module` as a pure function of its parameters and its inputs by name."""

    def run(params: Any, inputs: Any) -> dict[str, jax.Array]:
        outputs: Any = module.apply(params, **inputs)
        return dict(outputs)

    return run
