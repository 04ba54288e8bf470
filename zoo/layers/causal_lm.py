"""A language model of Llama's kind: blocks of attention and MLP, one pass over texts, and prefill and decode.

Sizes are what the program has: heads, the MLP's width and the vocabulary may be padded to what a mesh divides
(`zoo.layers.decoder_sharding`). Only embedding and attention know of chips. Only what the TT compiler takes is used:
Python loops, positions as data, no sharded iota. Tokens of all sentences are rows of one matrix [batch * queries,
hidden]: of a product of three axes TT's compiler makes one of two, and reshapes around it.

In prefill and decode, activations, the residual sum and the cache are numbers of the config's `dtype`, as TT's chips
have them between operations; products are summed, norms and softmax computed, in float32. One pass over texts has
weights of that dtype alone, and all else in float32 (`zoo.layers.precision`): it costs no operation there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from zoo.layers.gated_mlp import GatedMLP
from zoo.layers.grouped_attention import Attention
from zoo.layers.linear import Linear
from zoo.layers.masks import causal
from zoo.layers.precision import DECODER
from zoo.layers.products import product
from zoo.layers.rms_norm import RMSNorm
from zoo.layers.rotary import matrices, rotations
from zoo.parts.architecture import Architecture, apply_as, row_of_tokens, tokens_of
from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo.layers.decoder_config import DecoderConfig, View
    from zoo.layers.precision import Precision
    from zoo.layers.rotary import Rotary

    Cache: TypeAlias = tuple[tuple[jax.Array, jax.Array], ...]


class Block(nn.Module):
    """Attention and MLP, each after a norm and beside a residual."""

    config: DecoderConfig

    def setup(self) -> None:
        self.input_norm, self.post_attention_norm = (RMSNorm(self.config.rms_norm_eps) for _ in range(2))
        self.attention, self.mlp = Attention(self.config), GatedMLP(self.config)

    def __call__(
        self,
        x: jax.Array,
        rotation: jax.Array,
        allowed: jax.Array | None = None,
        cache: tuple[jax.Array, jax.Array] | None = None,
        positions: jax.Array | None = None,
        window: int | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """As `Attention`."""
        attended, cache = self.attention(self.input_norm(x), rotation, allowed, cache, positions, window)
        x = x + attended
        return x + self.mlp(self.post_attention_norm(x)), cache


class CausalLM(nn.Module):
    """The language model. Token numbers, positions and masks are int32, logits float32."""

    config: DecoderConfig

    block = Block
    """What the model is made of; another class for a model whose blocks are not these."""

    def setup(self) -> None:
        config = self.config
        self.embed = Embedding(
            config.vocab_size,
            config.padded_vocab_size,
            config.hidden_size,
            config.mesh,
            config.axes,
            config.rows,
            config.dtype,
        )
        self.layers = [self.block(config) for _ in range(config.num_hidden_layers)]
        self.norm = RMSNorm(config.rms_norm_eps)
        if not config.tie_word_embeddings:
            self.head = Linear(config.hidden_size, config.padded_vocab_size, config.dtype)

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array, position_ids: jax.Array) -> jax.Array:
        """Logits [batch, length, padded_vocab_size] of every position; those from `vocab_size` on are of the padding.

        All arguments are [batch, length]; where `attention_mask` is 0 there is padding, which nothing attends to.
        """
        batch, length = input_ids.shape
        allowed = {
            window: causal(length, window) & (attention_mask != 0)[:, None, None, :] for window in self._windows()
        }
        x = self._embedded(input_ids, DECODER.residual)
        for block, view, rotation in self._blocks(position_ids, batch, DECODER.heads):
            x, _ = block(x, rotation, self._grouped(allowed[view.window]))
        return self._logits(x).reshape(*input_ids.shape, -1)

    def prefill(self, input_ids: jax.Array, last: jax.Array, slots: int) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after each row's last token, and a cache of `slots` positions (static).

        `input_ids` [batch, length] padded on the right, `last` [batch] the position of each row's last token. What
        padding leaves in the cache is never read: `decode` overwrites a slot before it allows it.
        """
        batch, length = input_ids.shape
        x, cache = self._embedded(input_ids), []
        for block, view, rotation in self._blocks(jnp.arange(length)[None, :], batch):
            x, (k, v) = block(x, rotation, window=view.window)
            room = ((0, 0), (0, 0), (0, slots - length), (0, 0))
            cache.append((jnp.pad(k, room), jnp.pad(v, room)))
        # Rows by their number would be a gather from each row's own table; this sum is exact.
        chosen = jnp.arange(length)[None, :] == last[:, None]
        x = jnp.where(chosen[:, :, None], x.reshape(batch, length, -1), 0.0).sum(axis=1)
        return self._logits(x), tuple(cache)

    def decode(self, tokens: jax.Array, positions: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after one more token in each row, and the cache with it.

        `tokens` [batch] at `positions` [batch], which are their slots in the cache as well.
        """
        x, written = self._embedded(tokens[:, None]), []
        for (block, view, rotation), layer in zip(self._blocks(positions[:, None], len(positions)), cache, strict=True):
            x, layer = block(x, rotation, cache=layer, positions=positions, window=view.window)
            written.append(layer)
        return self._logits(x), tuple(written)

    def _windows(self) -> list[int | None]:
        return list(dict.fromkeys(view.window for view in self.config.views))

    def _blocks(
        self, positions: jax.Array, batch: int, heads: str | None = None
    ) -> Iterator[tuple[Block, View, jax.Array]]:
        """Each block, how it sees positions, and what turns its heads, [batch, queries, head_dim, head_dim].

        `positions` [batch or 1, queries]. heads: the dtype of queries and keys; None: that of all, which the operations
        of a step and of a prompt take alone.
        """
        views, turns = self.config.views, {}
        for rotary in dict.fromkeys(view.rotary for view in views):
            rotation = self._rotation(positions, rotary, heads or self.config.dtype)
            turns[rotary] = jnp.broadcast_to(rotation, (batch, *rotation.shape[1:]))
        for block, view in zip(self.layers, views, strict=True):
            yield block, view, turns[view.rotary]

    def _embedded(self, ids: jax.Array, dtype: str | None = None) -> jax.Array:
        """The rows of `ids`, scaled, in `dtype` (default: the config's), which all that is made of them has."""
        x: jax.Array = self.embed(ids).reshape(-1, self.config.hidden_size).astype(dtype or self.config.dtype)
        scale = self.config.embedding_scale
        # Behind the barrier TT's compiler knows the norm of what was converted.
        x = jax.lax.optimization_barrier(x)
        return x if scale == 1.0 else x * jnp.asarray(scale, x.dtype)

    def _rotation(self, positions: jax.Array, rotary: Rotary, dtype: str) -> jax.Array:
        config = self.config
        cosine, sine = rotations(
            positions, rotary, head_dim=config.head_dim, max_positions=config.max_position_embeddings
        )
        # Queries and keys are turned alike: each gets the root of the scale of their product.
        return matrices(cosine, sine, jnp.dtype(dtype), scale=config.score_scale**0.5)

    def _grouped(self, allowed: jax.Array) -> jax.Array:
        """`allowed` [..., queries, keys] for each query head of a group, [..., group * queries, keys]."""
        return jnp.tile(allowed, (1, 1, self.config.num_attention_heads // self.config.num_key_value_heads, 1))

    def _logits(self, x: jax.Array) -> jax.Array:
        weight = self.embed.embedding if self.config.tie_word_embeddings else self.head.weight
        logits, config = product(self.norm(x), weight).astype(jnp.float32), self.config
        if config.mesh is not None and len(config.summed_axes) > 1 and not self.is_initializing():
            # TT's compiler gathers over two axes at once in the wrong order: docs/compiler_faults.md.
            along_one = NamedSharding(config.mesh, P(config.rows, config.axes[0]))
            logits = jax.lax.with_sharding_constraint(logits, along_one)
        return logits


def architecture_of(build: Callable[[Any], CausalLM], precision: Precision | None = None) -> Architecture:
    """The part of a model's description that says what it computes. build: config -> module."""
    return Architecture(
        build=build,
        forward=apply_as("logits"),
        example=row_of_tokens,
        layer="layers_",
        helpers=("params/embed/first_row",),
        precision=precision,
        work=tokens_of,
    )
