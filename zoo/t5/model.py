"""The whole model: T5 v1.1 and FLAN-T5 (Google), as transformers' T5ForConditionalGeneration computes them.

An encoder reads a text, a decoder writes another: gated MLPs by tanh's GELU, norms by the root mean square, scores that
are not scaled but shifted by how far two tokens are apart, and a head of its own. Sizes are what the program has, so
heads, the MLP's width and the vocabulary may be padded to what a mesh divides (`zoo.t5.sharding`). Tokens of all rows
are rows of one matrix [batch * tokens, hidden]; kernels are flax's [in, out].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers.cross_attention import Attention, behind
from zoo.layers.encoder import on_each_chip
from zoo.layers.fused import gelu_tanh
from zoo.layers.masks import causal
from zoo.layers.precision import Precision
from zoo.layers.rms_norm import RMSNorm
from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import AbstractMesh

    Pair: TypeAlias = tuple[jax.Array, jax.Array]
    Memory: TypeAlias = tuple[jax.Array, tuple[Pair, ...]]
    """The inputs' mask [batch, tokens], and keys and values of them for each layer of the decoder."""
    Cache: TypeAlias = tuple[Pair, ...]

PRECISION = Precision(activations="float32", residual="float32", heads="float32", outputs="float32")
"""Float32, as published; parameters may be bfloat16, which the card multiplies with float32 as they are. With the rest
rounded as well, the golden of FLAN-T5 small is at a PCC of 0.9984 in place of 0.999 (emulated)."""


@dataclass(frozen=True, slots=True)
class T5Config:
    """Sizes of one variant, by the zoo's names (docs/add_a_model.md).

    Fitted to a `mesh` (None: one chip), `num_attention_heads` and `intermediate_size` count padding too; `vocab_size`
    never does: `vocab_padding` rows follow its tokens.
    """

    name: str
    num_hidden_layers: int
    num_decoder_layers: int
    hidden_size: int
    num_attention_heads: int
    intermediate_size: int
    head_dim: int = 64
    vocab_size: int = 32128
    vocab_padding: int = 0
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    rms_norm_eps: float = 1e-6
    mesh: AbstractMesh | None = None

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding and columns of the head: those of tokens, then padding."""
        return self.vocab_size + self.vocab_padding


def _published(name: str, layers: int, hidden: int, heads: int, intermediate: int) -> T5Config:
    return T5Config(
        name,
        num_hidden_layers=layers,
        num_decoder_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=intermediate,
    )


TINY = T5Config(
    "tiny",
    num_hidden_layers=2,
    num_decoder_layers=2,
    hidden_size=40,
    num_attention_heads=6,
    intermediate_size=90,
    head_dim=8,
    vocab_size=107,
    relative_attention_num_buckets=8,
    relative_attention_max_distance=11,
)
"""For tests: few numbers of chips divide heads, vocabulary and the MLP's width, and texts are longer than the buckets
reach."""

SMALL = _published("flan-t5-small", layers=8, hidden=512, heads=6, intermediate=1024)

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        SMALL,
        _published("flan-t5-base", layers=12, hidden=768, heads=12, intermediate=2048),
        _published("flan-t5-large", layers=24, hidden=1024, heads=16, intermediate=2816),
        _published("flan-t5-xl", layers=24, hidden=2048, heads=32, intermediate=5120),
    )
}


@lru_cache(maxsize=8)
def buckets(distances: tuple[int, ...], count: int, farthest: int, *, both_ways: bool) -> np.ndarray:
    """The bucket of each distance (key minus query), int32: alone up to half of `count`, then ever wider ones.

    From `farthest` on all are in the last. Not `both_ways`: keys behind the query are all in bucket 0. Computed on the
    host in float32, as transformers' ``_relative_position_bucket`` does on the device.
    """
    away = np.array(distances, np.int64)
    base = np.zeros_like(away)
    if both_ways:
        count //= 2
        base = np.where(away > 0, count, 0)
        away = np.abs(away)
    else:
        away = np.maximum(-away, 0)
    alone = count // 2
    ratio = np.log(np.maximum(away, 1).astype(np.float32) / np.float32(alone)) / np.float32(np.log(farthest / alone))
    wide = np.minimum(alone + (ratio * np.float32(count - alone)).astype(np.int64), count - 1)
    found: np.ndarray = (base + np.where(away < alone, away, wide)).astype(np.int32)
    return found


class RelativeBias(nn.Module):
    """What the distance of two tokens adds to the scores of each head: one number a bucket, a table for all layers."""

    config: T5Config
    both_ways: bool

    def setup(self) -> None:
        shape = (self.config.relative_attention_num_buckets, self.config.num_attention_heads)
        self.embedding = self.param("embedding", nn.initializers.normal(0.02), shape)

    def __call__(self, tokens: int) -> jax.Array:
        """Of every query to every key of `tokens` (static): [1, heads, tokens, tokens]."""
        numbers = self._buckets(tokens)

        def looked_up(table: jax.Array) -> jax.Array:
            return jnp.take(table, numbers, axis=0, mode="clip").T.reshape(1, -1, tokens, tokens)

        found: jax.Array = self._on_each_chip(looked_up, (), P(None, "model"))(self.embedding)
        return found

    def step(self, positions: jax.Array, slots: int) -> jax.Array:
        """Of one query a row, at `positions` [batch], to each of `slots` (static): [batch, heads, 1, slots].

        A row of the table of all positions: the card makes that once, as it is made of parameters.
        """
        numbers = self._buckets(slots)

        def looked_up(table: jax.Array, positions: jax.Array) -> jax.Array:
            whole = jnp.take(table, numbers, axis=0, mode="clip").reshape(slots, slots, -1).swapaxes(1, 2)
            rows = jnp.take(whole.reshape(slots, -1), positions, axis=0, mode="clip")
            return rows.reshape(positions.shape[0], -1, 1, slots)

        specs, result = (P("batch"),), P("batch", "model")
        found: jax.Array = self._on_each_chip(looked_up, specs, result)(self.embedding, positions)
        return found

    def _buckets(self, tokens: int) -> np.ndarray:
        """Of every query and key of `tokens`, [tokens * tokens]."""
        config, places = self.config, np.arange(tokens)
        of = buckets(
            tuple(range(1 - tokens, tokens)),
            config.relative_attention_num_buckets,
            config.relative_attention_max_distance,
            both_ways=self.both_ways,
        )
        found: np.ndarray = of[(places[None, :] - places[:, None]).ravel() + tokens - 1]
        return found

    def _on_each_chip(self, function: Callable[..., jax.Array], specs: tuple[P, ...], result: P) -> Any:
        """On one chip's heads; the partitioner would spread the look-up otherwise, which TT's compiler refuses."""
        mesh = None if self.is_initializing() else self.config.mesh
        return on_each_chip(function, mesh, (P(None, "model"), *specs), result)


class MLP(nn.Module):
    """GELU of one product times another, and a product behind them."""

    config: T5Config

    def setup(self) -> None:
        config = self.config
        self.gate, self.up = (nn.Dense(config.intermediate_size, use_bias=False) for _ in range(2))
        self.down = nn.Dense(config.hidden_size, use_bias=False)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, hidden] to the same."""
        spec, mesh = P("batch", "model"), None if self.is_initializing() else self.config.mesh
        y: jax.Array = self.down(on_each_chip(gelu_tanh, mesh, spec, spec)(self.gate(x)) * self.up(x))
        return y


def _attention(config: T5Config) -> Attention:
    return Attention(config.hidden_size, config.num_attention_heads, config.head_dim, config.mesh)


class EncoderLayer(nn.Module):
    """Attention both ways and MLP, each after a norm and beside a residual."""

    config: T5Config

    def setup(self) -> None:
        self.attention_norm, self.mlp_norm = (RMSNorm(self.config.rms_norm_eps) for _ in range(2))
        self.attention, self.mlp = _attention(self.config), MLP(self.config)

    def __call__(self, x: jax.Array, allowed: jax.Array, bias: jax.Array) -> jax.Array:
        """`x` [batch * tokens, hidden] to the same; `allowed` and `bias` as `Attention` has them."""
        attended, _ = self.attention(self.attention_norm(x), bias.shape[-1], allowed, bias)
        x = x + attended
        y: jax.Array = x + self.mlp(self.mlp_norm(x))
        return y


class DecoderLayer(nn.Module):
    """Attention to what is written, attention to what was read, and MLP, each after a norm and beside a residual."""

    config: T5Config

    def setup(self) -> None:
        self.attention_norm, self.cross_norm, self.mlp_norm = (RMSNorm(self.config.rms_norm_eps) for _ in range(3))
        self.attention, self.cross, self.mlp = _attention(self.config), _attention(self.config), MLP(self.config)

    def __call__(self, x: jax.Array, allowed: jax.Array, bias: jax.Array, read: Pair, readable: jax.Array) -> jax.Array:
        """`x` [batch * tokens, hidden] to the same; `read` is what `memory` gives, `readable` bool [batch, 1, 1, keys].

        `allowed` and `bias` as `Attention` has them.
        """
        attended, _ = self.attention(self.attention_norm(x), bias.shape[-1], allowed, bias)
        return self._rest(x + attended, read, readable)

    def memory(self, encoded: jax.Array, tokens: int) -> Pair:
        """Keys and values of `encoded` [batch * tokens, hidden]."""
        return self.cross.memory(encoded, tokens)

    def step(
        self,
        x: jax.Array,
        cache: Pair,
        positions: jax.Array,
        allowed: jax.Array,
        bias: jax.Array,
        read: Pair,
        readable: jax.Array,
    ) -> tuple[jax.Array, Pair]:
        """One token a row, `x` [batch, hidden] at `positions`: the same, and the cache with it."""
        attended, cache = self.attention.step(self.attention_norm(x), cache, positions, allowed, bias)
        return self._rest(x + attended, read, readable), cache

    def _rest(self, x: jax.Array, read: Pair, readable: jax.Array) -> jax.Array:
        x = x + self.cross.over(self.cross_norm(x), read, readable)
        y: jax.Array = x + self.mlp(self.mlp_norm(x))
        return y


class T5(nn.Module):
    """The model of `config`. Token numbers and masks are int32."""

    config: T5Config

    def setup(self) -> None:
        config = self.config
        self.shared = Embedding(config.vocab_size, config.padded_vocab_size, config.hidden_size, mesh=config.mesh)
        self.encoder_bias, self.decoder_bias = RelativeBias(config, True), RelativeBias(config, False)
        self.encoder = [EncoderLayer(config) for _ in range(config.num_hidden_layers)]
        self.decoder = [DecoderLayer(config) for _ in range(config.num_decoder_layers)]
        self.encoder_norm, self.decoder_norm = (RMSNorm(config.rms_norm_eps) for _ in range(2))
        self.lm_head = nn.Dense(config.padded_vocab_size, use_bias=False)

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array, decoder_input_ids: jax.Array) -> jax.Array:
        """Logits [batch, decoder tokens, padded_vocab_size] after every token of `decoder_input_ids`.

        `input_ids` and `attention_mask` [batch, tokens] are what is read; where the mask is 0 there is padding.
        """
        tokens, length = input_ids.shape[1], decoder_input_ids.shape[1]
        # One look-up: XLA would join the sums of two, and TT's compiler would not.
        embedded = self.shared(jnp.concatenate([input_ids, decoder_input_ids], axis=1))
        # By each chip of its own rows: of rows that it spreads itself, TT's compiler refuses the slices.
        mesh, rows = None if self.is_initializing() else self.config.mesh, P("batch")
        parted = on_each_chip(lambda x: (x[:, :tokens], x[:, tokens:]), mesh, rows, (rows, rows))
        read, written = parted(embedded)
        encoded = self._encoded(read, attention_mask)
        x = _wide(behind(written, encoded)).reshape(-1, self.config.hidden_size)
        memory, bias = self._memory(encoded), self.decoder_bias(length)
        for layer, read in zip(self.decoder, memory, strict=True):
            x = layer(x, causal(length)[None, None], bias, read, _allowed(attention_mask))
        return self._logits(x).reshape(*decoder_input_ids.shape, -1)

    def encode(self, slots: int, input_ids: jax.Array, attention_mask: jax.Array) -> tuple[Memory, Cache]:
        """What the decoder's layers see of the inputs, and an empty cache of `slots` positions (static)."""
        config = self.config
        memory = self._memory(self._encoded(self.shared(input_ids), attention_mask))
        empty = jnp.zeros((len(input_ids), config.num_attention_heads, slots, config.head_dim), memory[0][0].dtype)
        return (attention_mask, memory), ((empty, empty),) * config.num_decoder_layers

    def decode(self, tokens: jax.Array, positions: jax.Array, memory: Memory, cache: Cache) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after one more token in each row, and the cache with it.

        `tokens` [batch] at `positions` [batch], which are their slots in the cache as well.
        """
        slots = cache[0][0].shape[2]
        allowed = (jnp.arange(slots)[None, :] <= positions[:, None])[:, None, None, :]
        x, bias, readable = _wide(self.shared(tokens)), self.decoder_bias.step(positions, slots), _allowed(memory[0])
        written = []
        for layer, own, read in zip(self.decoder, cache, memory[1], strict=True):
            x, own = layer.step(x, own, positions, allowed, bias, read, readable)
            written.append(own)
        return self._logits(x), tuple(written)

    def _encoded(self, embedded: jax.Array, attention_mask: jax.Array) -> jax.Array:
        """What the encoder makes of `embedded` [batch, tokens, hidden], of the same shape."""
        x, bias = _wide(embedded).reshape(-1, embedded.shape[-1]), self.encoder_bias(embedded.shape[1])
        for layer in self.encoder:
            x = layer(x, _allowed(attention_mask), bias)
        return self.encoder_norm(x).reshape(embedded.shape)

    def _memory(self, encoded: jax.Array) -> tuple[Pair, ...]:
        """What the decoder's layers see of `encoded` [batch, tokens, hidden]."""
        tokens, rows = encoded.shape[1], encoded.reshape(-1, encoded.shape[-1])
        return tuple(layer.memory(rows, tokens) for layer in self.decoder)

    def _logits(self, x: jax.Array) -> jax.Array:
        y: jax.Array = self.lm_head(self.decoder_norm(x))
        return y


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(PRECISION.residual)


def _allowed(mask: jax.Array) -> jax.Array:
    """`mask` [batch, keys] as scores have it, bool [batch, 1, 1, keys]."""
    return (mask != 0)[:, None, None, :]
