"""The whole model: BERT's encoder, its masked language model head, its pooler, and sentence embeddings on top.

Kernels of queries, keys and values are [hidden, head, head_dim] and that behind the attention [head, head_dim, hidden],
so that heads are an axis which a mesh spreads and pads; all others are flax's [in, out].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import AbstractMesh

MASKED = -1e9
"""Added to the score of a padded token, and the bias of the vocabulary's padding: exp of it is exactly 0 in float32 and
in bfloat16. The smallest float32 would become -inf on a chip that computes in bfloat16."""


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


def gelu(x: jax.Array) -> jax.Array:
    """GELU by the error function, as BERT's ``gelu`` is.

    jax.nn.gelu writes it with erfc. The TT compiler knows erf as one operation, and erfc not at all.
    """
    return x * 0.5 * (1.0 + jax.lax.erf(x * 0.5**0.5))


def tanh(x: jax.Array) -> jax.Array:
    """The pooler's activation."""
    return jnp.tanh(x)


def attention_bias(mask: jax.Array, dtype: Any) -> jax.Array:
    """`mask` [batch, tokens], 1 for tokens and 0 for padding, as what is added to scores [batch, head, query, key]."""
    return ((1.0 - mask.astype(jnp.float32)) * MASKED).astype(dtype)[:, None, None, :]


def attention(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array) -> jax.Array:
    """Scaled dot products over all tokens, both ways; all [batch, tokens, head, head_dim] but `bias`."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * query.shape[-1] ** -0.5
    return jnp.einsum("bhqk,bkhd->bqhd", nn.softmax(scores + bias, axis=-1), value)


def first_token(hidden: jax.Array) -> jax.Array:
    """What the pooler sees of [batch, tokens, hidden]: [batch, hidden] of the token [CLS]."""
    return hidden[:, 0]


def mean_of_tokens(hidden: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of `hidden` [batch, tokens, hidden] over the tokens that `mask` [batch, tokens] has as 1."""
    weights = mask.astype(jnp.float32)
    return jnp.einsum("bsh,bs->bh", hidden, weights) / jnp.maximum(weights.sum(axis=1, keepdims=True), 1e-9)


def normalised(x: jax.Array) -> jax.Array:
    """Rows of `x` divided by their L2 norm; a row of zeros stays."""
    return x / jnp.maximum(jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True)), 1e-12)


def layer_norm(config: BertConfig, name: str) -> nn.LayerNorm:
    """Layer normalisation that takes the variance of what is left after the mean: E[x^2] - E[x]^2 loses digits."""
    return nn.LayerNorm(epsilon=config.layer_norm_eps, use_fast_variance=False, name=name)


class Layer(nn.Module):
    """Attention and MLP, each followed by the sum with its input and a normalisation of it."""

    config: BertConfig

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        """`x` [batch, tokens, hidden] and `bias` of `attention_bias` to [batch, tokens, hidden]."""
        config = self.config
        heads = (config.num_attention_heads, config.head_dim)
        query, key, value = (nn.DenseGeneral(heads, name=name)(x) for name in ("query", "key", "value"))
        seen = attention(query, key, value, bias)
        seen = nn.DenseGeneral(config.hidden_size, axis=(-2, -1), name="attention")(seen)
        x = layer_norm(config, "attention_norm")(x + seen)
        inner = gelu(nn.Dense(config.intermediate_size, name="up")(x))
        y: jax.Array = layer_norm(config, "norm")(x + nn.Dense(config.hidden_size, name="down")(inner))
        return y


class Decoder(nn.Module):
    """Hidden states to one logit a token of the vocabulary, by the table of word embeddings and a bias of its own."""

    config: BertConfig

    @nn.compact
    def __call__(self, x: jax.Array, table: jax.Array) -> jax.Array:
        """`x` [batch, tokens, hidden], `table` [words, hidden] to [batch, tokens, words]: `padded_vocab_size`."""
        bias = self.param("bias", nn.initializers.zeros_init(), (self.config.padded_vocab_size,))
        return jnp.einsum("bsh,vh->bsv", x, table) + bias


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
        word = Embedding(config.vocab_size, config.padded_vocab_size, config.hidden_size, mesh=config.mesh, name="word")
        x = word(input_ids)
        x += nn.Embed(config.type_vocab_size, config.hidden_size, name="type")(token_type_ids)
        x += self.param("position", nn.initializers.normal(0.02), (config.max_position_embeddings, config.hidden_size))[
            :tokens
        ]
        x = layer_norm(config, "norm")(x)
        bias = attention_bias(attention_mask, x.dtype)
        for index in range(config.num_hidden_layers):
            x = Layer(config, name=f"layer_{index}")(x, bias)
        outputs = {"hidden": x, "sentence": normalised(mean_of_tokens(x, attention_mask))}
        if self.is_initializing() or self.has_variable("params", "pooler"):
            outputs["pooled"] = tanh(nn.Dense(config.hidden_size, name="pooler")(first_token(x)))
        if config.masked_lm:
            y = gelu(nn.Dense(config.hidden_size, name="transform")(x))
            outputs["logits"] = Decoder(config, name="decoder")(layer_norm(config, "transform_norm")(y), word.embedding)
        return outputs


def forward(module: Bert) -> Callable[[Any, Any], dict[str, jax.Array]]:
    """`module` as a pure function of its parameters and its inputs by name."""

    def run(params: Any, inputs: Any) -> dict[str, jax.Array]:
        outputs: Any = module.apply(params, **inputs)
        return dict(outputs)

    return run
