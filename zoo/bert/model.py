"""The whole model: BERT's encoder, its masked language model head, its pooler, and sentence embeddings on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from zoo.layers import encoder, masked_lm
from zoo.layers.fused import normalised
from zoo.layers.precision import Precision
from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import AbstractMesh


PRECISION = Precision()
"""Float32 as published; parameters in bfloat16 make a program in bfloat16."""


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Sizes of one variant, by transformers' names; `num_attention_heads` x `head_dim` is `hidden_size`, but for heads
    that were padded to fit a mesh.
    """

    name: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int = 30522
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    masked_lm: bool = True
    """Whether there is a masked language model head: published sentence encoders have none."""
    vocab_padding: int = 0
    """Rows behind those of the vocabulary, so that a mesh divides their number."""
    mesh: AbstractMesh | None = None
    """That the word embeddings lie on; None: one chip."""

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the word embeddings: those of tokens, then padding."""
        return self.vocab_size + self.vocab_padding


BASE = BertConfig(
    "bert-base-uncased",
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    head_dim=64,
    intermediate_size=3072,
)
LARGE = BertConfig(
    "bert-large-uncased",
    hidden_size=1024,
    num_hidden_layers=24,
    num_attention_heads=16,
    head_dim=64,
    intermediate_size=4096,
)
MINILM = BertConfig(
    "all-MiniLM-L6-v2",
    hidden_size=384,
    num_hidden_layers=6,
    num_attention_heads=12,
    head_dim=32,
    intermediate_size=1536,
    masked_lm=False,
)
TINY = BertConfig(
    "tiny",
    hidden_size=48,
    num_hidden_layers=2,
    num_attention_heads=6,
    head_dim=8,
    intermediate_size=90,
    vocab_size=211,
    max_position_embeddings=40,
    type_vocab_size=3,
)
"""For tests: 2, 4 or 8 chips divide little of it."""

CONFIGS = {config.name: config for config in (BASE, LARGE, MINILM, TINY)}


def tanh(x: jax.Array) -> jax.Array:
    """The pooler's activation."""
    return jnp.tanh(x)


def first_token(hidden: jax.Array) -> jax.Array:
    """What the pooler sees of [batch, tokens, hidden]: [batch, hidden] of the token [CLS]."""
    return hidden[:, 0]


def sum_of_tokens(hidden: jax.Array, mask: jax.Array) -> jax.Array:
    """Sum of `hidden` [batch, tokens, hidden] over the tokens that `mask` [batch, tokens] has as 1.

    It has the direction of their mean, and no more is left of it where it is normalised.
    """
    return jnp.einsum("bsh,bs->bh", hidden, mask.astype(jnp.float32))


class Types(nn.Module):
    """The embedding of token types: of so few rows a choice is cheaper than a look-up."""

    config: BertConfig

    @nn.compact
    def __call__(self, ids: jax.Array, position: jax.Array) -> jax.Array:
        """`ids` and `position` [tokens, hidden] of each token to the sum of both embeddings [tokens, hidden].

        NaN for ids that are not types.
        """
        table = self.param(
            "embedding", nn.initializers.normal(0.02), (self.config.type_vocab_size, self.config.hidden_size)
        )
        total = jnp.full_like(position, jnp.nan)
        for index in range(self.config.type_vocab_size):
            total = jnp.where(ids[:, None] == index, position + table[index], total)
        return total


class Bert(nn.Module):
    """BERT of `config`."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, input_ids: jax.Array, attention_mask: jax.Array, token_type_ids: jax.Array
    ) -> dict[str, jax.Array]:
        """Three int32 arrays [batch, tokens] to named outputs.

        `attention_mask` is 1 for tokens and 0 for padding, which may be anywhere; `token_type_ids` is 0 for the first
        of two sentences, 1 for the second. ``hidden`` [batch, tokens, hidden] of the last layer;
        ``sentence`` [batch, hidden], mean over the tokens, of length 1; ``pooled`` [batch, hidden] if the parameters
        have a pooler, which not every checkpoint does; with a masked language model head also ``logits``
        [batch, tokens, padded_vocab_size]. Ids outside their tables give NaN.
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
        # What is computed of parameters alone, the chip computes once: the rows of all tokens, for each type.
        position = jnp.broadcast_to(position[:tokens], (batch, tokens, hidden)).reshape(-1, hidden)
        x = word(input_ids.reshape(-1)) + Types(config, name="type")(token_type_ids.reshape(-1), position)
        x = encoder.layer_norm(config, "norm")(x)
        bias = encoder.attention_bias(attention_mask)
        for index in range(config.num_hidden_layers):
            x = encoder.Layer(config, name=f"layer_{index}")(x, bias)
        states = x.reshape(batch, tokens, hidden)
        outputs = {"hidden": states, "sentence": normalised(sum_of_tokens(states, attention_mask))}
        if self.is_initializing() or self.has_variable("params", "pooler"):
            outputs["pooled"] = tanh(nn.Dense(hidden, name="pooler")(first_token(states)))
        if config.masked_lm:
            found = masked_lm.logits(config, x, word.embedding, initializing=self.is_initializing())
            outputs["logits"] = found.reshape(batch, tokens, -1)
        return outputs


def forward(module: Bert) -> Callable[[Any, Any], dict[str, jax.Array]]:
    """`module` as a pure function of its parameters and its inputs by name."""

    def run(params: Any, inputs: Any) -> dict[str, jax.Array]:
        outputs: Any = module.apply(params, **inputs)
        return dict(outputs)

    return run
