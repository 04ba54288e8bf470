"""The whole model: GPT-2 as transformers' GPT2LMHeadModel computes it, with a static key-value cache.

Sizes are what the program has, so heads, the MLP's width and the logits may be padded to what a mesh divides
(`zoo.gpt2.sharding`). Only the token embedding knows of chips, because its rows lie on all of them; the head is tied to
it. Only what the TT compiler takes is used: Python loops, writes into the cache by select, positions as data. Kernels
are flax's [in, out].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn

from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from jax.sharding import AbstractMesh

    Cache: TypeAlias = tuple[tuple[jax.Array, jax.Array], ...]

MASKED = -1e9
"""Score of what may not be attended to, and logit of the padding: finite in bfloat16 too, and exp of it is 0."""


@dataclass(frozen=True, slots=True)
class GPT2Config:
    """Sizes of one variant, by BERT's names in transformers. Fitted to a `mesh` (None: one chip), `num_attention_heads`
    and `intermediate_size` count padding too; `vocab_size` never does: `vocab_padding` rows follow its tokens.
    """

    name: str
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int = 50257
    vocab_padding: int = 0
    max_position_embeddings: int = 1024
    layer_norm_eps: float = 1e-5
    mesh: AbstractMesh | None = None

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the token embedding: those of tokens, then padding."""
        return self.vocab_size + self.vocab_padding


def _published(name: str, layers: int, heads: int) -> GPT2Config:
    hidden = 64 * heads
    return GPT2Config(
        name,
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        head_dim=64,
        intermediate_size=4 * hidden,
    )


TINY = GPT2Config(
    "tiny",
    num_hidden_layers=2,
    hidden_size=24,
    num_attention_heads=3,
    head_dim=8,
    intermediate_size=96,
    vocab_size=97,
    max_position_embeddings=48,
)
"""For tests: heads, vocabulary and the MLP's width divide by few numbers of chips, so that padding matters."""

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        _published("gpt2", layers=12, heads=12),
        _published("gpt2-medium", layers=24, heads=16),
        _published("gpt2-large", layers=36, heads=20),
        _published("gpt2-xl", layers=48, heads=25),
    )
}


class Positions(nn.Module):
    """Rows of a table by number, whole on each chip; numbers beyond its ends give its first and last row."""

    rows: int
    features: int

    @nn.compact
    def __call__(self, numbers: jax.Array) -> jax.Array:
        """`numbers` int32 of any shape to [..., features] float32."""
        table = self.param("embedding", nn.initializers.normal(0.02), (self.rows, self.features))
        return jnp.take(table, numbers, axis=0, mode="clip")


class Attention(nn.Module):
    """Attention of every head over the positions that `allowed` says, of these rows or of the cache."""

    config: GPT2Config

    def setup(self) -> None:
        width = self.config.num_attention_heads * self.config.head_dim
        self.q, self.k, self.v = (nn.Dense(width) for _ in range(3))
        self.out = nn.Dense(self.config.hidden_size)

    def __call__(
        self,
        x: jax.Array,
        allowed: jax.Array,
        cache: tuple[jax.Array, jax.Array] | None = None,
        write: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """`x` [batch, queries, hidden], `allowed` bool, broadcast to [batch, heads, queries, keys].

        Gives the same shape as `x`, and keys and values [batch, heads, keys, head_dim]: of `x`, or the `cache` with
        those of `x` (one query then) where `write`, bool [batch, 1, keys, 1], is true.
        """
        q, k, v = (self._heads(projection(x)) for projection in (self.q, self.k, self.v))
        if cache is not None and write is not None:
            k, v = jnp.where(write, k, cache[0]), jnp.where(write, v, cache[1])
        scores = jnp.einsum("bhqd,bhkd->bhqk", q * self.config.head_dim**-0.5, k)
        weights = nn.softmax(jnp.where(allowed, scores, MASKED))
        mixed = jnp.einsum("bhqk,bhkd->bhqd", weights, v).swapaxes(1, 2)
        return self.out(mixed.reshape(*x.shape[:2], -1)), (k, v)

    def _heads(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:2], -1, self.config.head_dim).swapaxes(1, 2)


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and beside a residual."""

    config: GPT2Config

    def setup(self) -> None:
        self.ln_1, self.ln_2 = layer_norm(self.config), layer_norm(self.config)
        self.attn = Attention(self.config)
        self.fc, self.proj = nn.Dense(self.config.intermediate_size), nn.Dense(self.config.hidden_size)

    def __call__(
        self,
        x: jax.Array,
        allowed: jax.Array,
        cache: tuple[jax.Array, jax.Array] | None = None,
        write: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """As `Attention`."""
        attended, cache = self.attn(self.ln_1(x), allowed, cache, write)
        x = x + attended
        # By its module, not by a name of ours: TT's plugin replaces jax.nn.gelu by one that the chip has.
        return x + self.proj(jax.nn.gelu(self.fc(self.ln_2(x)), approximate=True)), cache


class Head(nn.Module):
    """Logits, from the table of the token embedding. The bias is 0, and MASKED for the padding behind the vocabulary:
    logits of tokens are often below 0, so that a 0 would be the largest.
    """

    logits: int

    @nn.compact
    def __call__(self, x: jax.Array, table: jax.Array) -> jax.Array:
        """`x` [batch, length, hidden] and `table` [logits, hidden] to [batch, length, logits]."""
        bias = self.param("bias", nn.initializers.zeros_init(), (self.logits,))
        return jnp.einsum("blw,vw->blv", x, table) + bias


class GPT2(nn.Module):
    """The language model. Token numbers, positions and masks are int32, everything else float32."""

    config: GPT2Config

    def setup(self) -> None:
        config = self.config
        self.wte = Embedding(config.vocab_size, config.padded_vocab_size, config.hidden_size, mesh=config.mesh)
        self.wpe = Positions(config.max_position_embeddings, config.hidden_size)
        self.h = [Block(config) for _ in range(config.num_hidden_layers)]
        self.ln_f = layer_norm(config)
        self.lm_head = Head(config.padded_vocab_size)

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array, position_ids: jax.Array) -> jax.Array:
        """Logits [batch, length, padded_vocab_size] of every position.

        All arguments are [batch, length]; where `attention_mask` is 0 there is padding, which nothing attends to.
        """
        allowed = causal(input_ids.shape[1]) & (attention_mask != 0)[:, None, None, :]
        x = self.wte(input_ids) + self.wpe(position_ids)
        for block in self.h:
            x, _ = block(x, allowed)
        return self._logits(x)

    def prefill(self, input_ids: jax.Array, last: jax.Array, slots: int) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after each row's last token, and a cache of `slots` positions (static).

        `input_ids` [batch, length] padded on the right, `last` [batch] the position of each row's last token. What
        padding leaves in the cache is never read: `decode` overwrites a slot before it allows it.
        """
        length = input_ids.shape[1]
        x = self.wte(input_ids) + self.wpe(jnp.arange(length))
        cache = []
        for block in self.h:
            x, (k, v) = block(x, causal(length))
            room = ((0, 0), (0, 0), (0, slots - length), (0, 0))
            cache.append((jnp.pad(k, room), jnp.pad(v, room)))
        # Rows by their number would be a gather from each row's own table; this sum is exact.
        chosen = jnp.arange(length)[None, :] == last[:, None]
        x = jnp.where(chosen[:, :, None], x, 0.0).sum(axis=1, keepdims=True)
        return self._logits(x)[:, 0], tuple(cache)

    def decode(self, tokens: jax.Array, positions: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after one more token in each row, and the cache with it.

        `tokens` [batch] at `positions` [batch], which are their slots in the cache as well.
        """
        slots = jnp.arange(cache[0][0].shape[2])[None, :]
        write = (slots == positions[:, None])[:, None, :, None]
        allowed = (slots <= positions[:, None])[:, None, None, :]
        x = self.wte(tokens[:, None]) + self.wpe(positions[:, None])
        written = []
        for block, layer in zip(self.h, cache, strict=True):
            x, layer = block(x, allowed, layer, write)
            written.append(layer)
        return self._logits(x)[:, 0], tuple(written)

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.lm_head(self.ln_f(x), self.wte.embedding)


def layer_norm(config: GPT2Config) -> nn.LayerNorm:
    """Layer norm with the variance from the differences: that of the squares loses digits where the mean is large."""
    return nn.LayerNorm(config.layer_norm_eps, use_fast_variance=False)


def causal(length: int) -> jax.Array:
    """Whether a query (row) may attend to a key (column), bool [length, length]."""
    places = jnp.arange(length)
    return places[:, None] >= places[None, :]
