"""The whole model: GPT-2 as transformers' GPT2LMHeadModel computes it, with a static key-value cache.

Sizes are what the program has, so heads, the MLP's width and the logits may be padded to what a mesh divides
(`zoo.gpt2.sharding`). Only the token embedding knows of chips, because its rows lie on all of them; the head is tied to
it. Only what the TT compiler takes is used: Python loops, positions as data. Tokens of all rows are rows of one matrix
[batch * queries, hidden]: of a product of three axes TT's compiler makes one of two, and reshapes around it. Kernels
are flax's [in, out].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers.cache import write
from zoo.layers.encoder import LayerNorm, RowParallel, on_each_chip, summed_product
from zoo.layers.fused import gelu_tanh
from zoo.layers.masks import causal_without_padding
from zoo.layers.paged_attention import masked, of_prompt, of_step
from zoo.layers.precision import Precision
from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from jax.sharding import AbstractMesh

    Layer: TypeAlias = tuple[jax.Array, jax.Array]
    Cache: TypeAlias = tuple[Layer, ...]
    Projections: TypeAlias = tuple[tuple[jax.Array, jax.Array], ...]


PRECISION = Precision()
"""Float32 as published; in bfloat16 a step and a prefill attend by one operation."""


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
        """`numbers` int32 of any shape to [..., features] in the table's dtype."""
        table = self.param("embedding", nn.initializers.normal(0.02), (self.rows, self.features))
        return jnp.take(table, numbers, axis=0, mode="clip")


class Dense(nn.Module):
    """Kernel and bias of a dense layer, whose product is computed elsewhere."""

    inputs: int
    features: int

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        """Kernel [inputs, features] and bias [features]."""
        return (
            self.param("kernel", nn.initializers.lecun_normal(), (self.inputs, self.features)),
            self.param("bias", nn.initializers.zeros_init(), (self.features,)),
        )


class Attention(nn.Module):
    """Attention of every head over the positions that `allowed` says, of these rows or of the cache."""

    config: GPT2Config

    def setup(self) -> None:
        config = self.config
        width = config.num_attention_heads * config.head_dim
        self.q, self.k, self.v = (Dense(config.hidden_size, width) for _ in range(3))
        self.out = Dense(width, config.hidden_size)

    def __call__(
        self,
        x: jax.Array,
        queries: int,
        allowed: jax.Array | None = None,
        layer: Layer | None = None,
        positions: jax.Array | None = None,
    ) -> tuple[jax.Array, Layer]:
        """`x` [batch * queries, hidden], `allowed` bool [batch, 1, queries, keys]; None: what is not behind a query.

        Gives the same shape as `x`, and keys and values [batch, heads, keys, head_dim]: of `x`, or those of the cache's
        `layer` with those of `x`, one query a row, at `positions` [batch].
        """
        steps = () if layer is None else (layer, positions)
        masks = () if allowed is None else (allowed,)
        column, part, call = (P(None, "model"), P("model")), P("batch", "model"), partial(self._on_a_chip, queries)
        if self.config.mesh is not None and not self.is_initializing():
            call = jax.shard_map(
                call,
                mesh=self.config.mesh,
                in_specs=(
                    P("batch"),
                    (P("batch"),) * len(masks),
                    (column, column, column),
                    (P("model"), P()),
                    *(((part, part), P("batch")) if steps else ()),
                ),
                out_specs=(P("batch"), (part, part)),
                check_vma=False,
            )
        found: tuple[jax.Array, Layer] = call(x, masks, (self.q(), self.k(), self.v()), self.out(), *steps)
        return found

    def _on_a_chip(
        self,
        queries: int,
        x: jax.Array,
        masks: tuple[jax.Array, ...],
        parts: Projections,
        out: tuple[jax.Array, jax.Array],
        *steps: Any,
    ) -> tuple[jax.Array, Layer]:
        """`__call__` with a chip's heads; the sum over chips is the result."""
        q, k, v = projected(x, parts, self.config.head_dim, None if steps else queries)
        if steps:
            caches, positions = steps
            k, v = (write(cache, new.swapaxes(1, 2), positions) for cache, new in zip(caches, (k, v), strict=True))
            mixed = of_step(q, k, v, positions)
        else:
            mixed = (masked(q, k, v, *masks) if masks else of_prompt(q, k, v)).swapaxes(1, 2)
        mesh = None if self.is_initializing() else self.config.mesh
        return summed_product(mixed.reshape(x.shape[0], -1), *out, mesh), (k, v)


def projected(x: jax.Array, parts: Projections, size: int, queries: int | None) -> tuple[jax.Array, ...]:
    """Scaled queries, keys and values of `x` [batch * queries, hidden] by `parts`: [batch, heads, queries, size] each.

    `queries` None: of one query a row, [1, batch, heads, size]. On the card by one product, whose kernel it joins once,
    as it is made of parameters; elsewhere that would be done at each call.
    """

    def heads_of(y: jax.Array) -> jax.Array:
        y = y.reshape(*((1, -1) if queries is None else (-1, queries)), y.shape[1] // size, size)
        return y if queries is None else y.swapaxes(1, 2)

    def joined(x: jax.Array, parts: Projections) -> tuple[jax.Array, ...]:
        (kernel, bias), *others = parts
        kernels = (kernel * size**-0.5, *(kernel for kernel, _ in others))
        biases = (bias * size**-0.5, *(bias for _, bias in others))
        y = x @ jnp.concatenate(kernels, axis=1) + jnp.concatenate(biases)
        # Barriers cost nothing there. Without them TT's compiler takes the bias out of the product, or slices first and
        # then swaps the axes of each slice.
        if queries is None:
            return tuple(jnp.split(heads_of(jax.lax.optimization_barrier(y)), 3, axis=2))
        return tuple(jnp.split(jax.lax.optimization_barrier(heads_of(y)), 3, axis=1))

    def apart(x: jax.Array, parts: Projections) -> tuple[jax.Array, ...]:
        q, k, v = (heads_of(x @ kernel + bias) for kernel, bias in parts)
        return q * size**-0.5, k, v

    found: tuple[jax.Array, ...] = jax.lax.platform_dependent(x, parts, tt=joined, default=apart)
    return found


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and beside a residual."""

    config: GPT2Config

    def setup(self) -> None:
        config = self.config
        self.ln_1, self.ln_2 = LayerNorm(config.layer_norm_eps), LayerNorm(config.layer_norm_eps)
        self.attn = Attention(config)
        self.fc, self.proj = nn.Dense(config.intermediate_size), RowParallel(config.hidden_size, config.mesh)

    def __call__(
        self,
        x: jax.Array,
        queries: int,
        allowed: jax.Array | None = None,
        layer: Layer | None = None,
        positions: jax.Array | None = None,
    ) -> tuple[jax.Array, Layer]:
        """As `Attention`."""
        attended, layer = self.attn(self.ln_1(x), queries, allowed, layer, positions)
        x = x + attended
        return x + self.mlp(self.ln_2(x)), layer

    def mlp(self, x: jax.Array) -> jax.Array:
        """The MLP of `x` [rows, hidden]."""
        spec = P("batch", "model")
        activated = on_each_chip(gelu_tanh, None if self.is_initializing() else self.config.mesh, spec, spec)
        y: jax.Array = self.proj(activated(self.fc(x)))
        return y


class Head(nn.Module):
    """Logits, from the table of the token embedding. The bias is 0, and MASKED for the padding behind the vocabulary:
    logits of tokens are often below 0, so that a 0 would be the largest.
    """

    logits: int

    @nn.compact
    def __call__(self, x: jax.Array, table: jax.Array) -> jax.Array:
        """`x` [rows, hidden] and `table` [logits, hidden] to [rows, logits]."""
        bias = self.param("bias", nn.initializers.zeros_init(), (self.logits,))
        return jnp.einsum("rw,vw->rv", x, table) + bias


class GPT2(nn.Module):
    """The language model. Token numbers, positions and masks are int32, everything else as `PRECISION` says."""

    config: GPT2Config

    def setup(self) -> None:
        config = self.config
        self.wte = Embedding(
            config.vocab_size,
            config.padded_vocab_size,
            config.hidden_size,
            mesh=config.mesh,
            dtype=PRECISION.parameters,
        )
        self.wpe = Positions(config.max_position_embeddings, config.hidden_size)
        self.h = [Block(config) for _ in range(config.num_hidden_layers)]
        self.ln_f = LayerNorm(config.layer_norm_eps)
        self.lm_head = Head(config.padded_vocab_size)

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array, position_ids: jax.Array) -> jax.Array:
        """Logits [batch, length, padded_vocab_size] of every position.

        All arguments are [batch, length]; where `attention_mask` is 0 there is padding, which nothing attends to.
        """
        allowed = causal_without_padding(attention_mask)
        x = self._embedded(input_ids, position_ids)
        for block in self.h:
            x, _ = block(x, input_ids.shape[1], allowed)
        return self._logits(x).reshape(*input_ids.shape, -1)

    def prefill(self, input_ids: jax.Array, last: jax.Array, slots: int) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after each row's last token, and a cache of `slots` positions (static).

        `input_ids` [batch, length] padded on the right, `last` [batch] the position of each row's last token. What
        padding leaves in the cache is never read: `decode` overwrites a slot before it allows it.
        """
        batch, length = input_ids.shape
        x = self._embedded(input_ids, jnp.arange(length)[None, :])
        cache = []
        for block in self.h:
            x, (k, v) = block(x, length)
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
        x = self._embedded(tokens[:, None], positions[:, None])
        written = []
        for block, layer in zip(self.h, cache, strict=True):
            x, layer = block(x, 1, None, layer, positions)
            written.append(layer)
        return self._logits(x), tuple(written)

    def _embedded(self, ids: jax.Array, positions: jax.Array) -> jax.Array:
        """The sum of what is looked up for `ids` [batch, length] and `positions` [batch or 1, length].

        To [batch * length, hidden].
        """
        if self.config.mesh is None:
            # TT's compiler looks up one row of vectors: with all ids in one row it reshapes the sum alone, and not each
            # summand. Several chips share the rows of the batch.
            ids, positions = (jnp.broadcast_to(given, ids.shape).reshape(1, -1) for given in (ids, positions))
        return (self.wte(ids) + self.wpe(positions)).reshape(-1, self.config.hidden_size)

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.lm_head(self.ln_f(x), self.wte.embedding)
