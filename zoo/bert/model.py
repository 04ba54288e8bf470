"""The whole model: BERT's encoder, its masked language model head, its pooler, and sentence embeddings on top."""

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
"""What is added to the score of a padded token, and the bias of a token that is none: exp of it is exactly 0 in
float32 and in bfloat16. The least float32 would become -inf on a chip that computes in bfloat16."""


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Sizes of one variant; `heads` x `head_size` is `hidden`, but for heads that were padded to fit a mesh."""

    name: str
    hidden: int
    layers: int
    heads: int
    head_size: int
    intermediate: int
    vocabulary: int = 30522
    positions: int = 512
    types: int = 2
    eps: float = 1e-12
    masked_lm: bool = True
    """Whether there is a masked language model head: published sentence encoders have none."""
    padding: int = 0
    """Tokens that are none, behind the vocabulary, so that a mesh divides their number."""
    mesh: AbstractMesh | None = None
    """That the word embeddings lie on; None: one chip."""


BASE = BertConfig("bert-base-uncased", hidden=768, layers=12, heads=12, head_size=64, intermediate=3072)
LARGE = BertConfig("bert-large-uncased", hidden=1024, layers=24, heads=16, head_size=64, intermediate=4096)
MINILM = BertConfig(
    "all-MiniLM-L6-v2", hidden=384, layers=6, heads=12, head_size=32, intermediate=1536, masked_lm=False
)
TINY = BertConfig(
    "tiny", hidden=48, layers=2, heads=6, head_size=8, intermediate=90, vocabulary=211, positions=40, types=3
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
    """Scaled dot products over all tokens, both ways; all [batch, tokens, head, head_size] but `bias`."""
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
    return nn.LayerNorm(epsilon=config.eps, use_fast_variance=False, name=name)


class Layer(nn.Module):
    """Attention and MLP, each followed by the sum with its input and a normalisation of it."""

    config: BertConfig

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array) -> jax.Array:
        """`x` [batch, tokens, hidden] and `bias` of `attention_bias` to [batch, tokens, hidden]."""
        config = self.config
        heads = (config.heads, config.head_size)
        query, key, value = (nn.DenseGeneral(heads, name=name)(x) for name in ("query", "key", "value"))
        seen = attention(query, key, value, bias)
        seen = nn.DenseGeneral(config.hidden, axis=(-2, -1), name="attention")(seen)
        x = layer_norm(config, "attention_norm")(x + seen)
        inner = gelu(nn.Dense(config.intermediate, name="up")(x))
        y: jax.Array = layer_norm(config, "norm")(x + nn.Dense(config.hidden, name="down")(inner))
        return y


class Decoder(nn.Module):
    """Hidden states to one logit a token of the vocabulary, by the table of word embeddings and a bias of its own."""

    config: BertConfig

    @nn.compact
    def __call__(self, x: jax.Array, table: jax.Array) -> jax.Array:
        """`x` [batch, tokens, hidden], `table` [words, hidden] to [batch, tokens, words]: vocabulary + padding."""
        bias = self.param("bias", nn.initializers.zeros_init(), (self.config.vocabulary + self.config.padding,))
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
        [batch, tokens, vocabulary + padding]. Ids outside their tables give NaN.
        """
        config = self.config
        tokens = input_ids.shape[1]
        if tokens > config.positions:
            raise ValueError(f"{tokens} tokens, but {config.name} knows {config.positions} positions: cut the text")
        words = config.vocabulary + config.padding
        word = Embedding(config.vocabulary, words, config.hidden, mesh=config.mesh, name="word")
        x = word(input_ids)
        x += nn.Embed(config.types, config.hidden, name="type")(token_type_ids)
        x += self.param("position", nn.initializers.normal(0.02), (config.positions, config.hidden))[:tokens]
        x = layer_norm(config, "norm")(x)
        bias = attention_bias(attention_mask, x.dtype)
        for index in range(config.layers):
            x = Layer(config, name=f"layer_{index}")(x, bias)
        outputs = {"hidden": x, "sentence": normalised(mean_of_tokens(x, attention_mask))}
        if self.is_initializing() or self.has_variable("params", "pooler"):
            outputs["pooled"] = tanh(nn.Dense(config.hidden, name="pooler")(first_token(x)))
        if config.masked_lm:
            y = gelu(nn.Dense(config.hidden, name="transform")(x))
            outputs["logits"] = Decoder(config, name="decoder")(layer_norm(config, "transform_norm")(y), word.embedding)
        return outputs


def forward(module: Bert) -> Callable[[Any, Any], dict[str, jax.Array]]:
    """`module` as a pure function of its parameters and its inputs by name."""

    def run(params: Any, inputs: Any) -> dict[str, jax.Array]:
        outputs: Any = module.apply(params, **inputs)
        return dict(outputs)

    return run
