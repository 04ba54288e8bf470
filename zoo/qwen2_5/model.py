"""The whole model: Qwen2.5 as transformers' Qwen2ForCausalLM computes it, with a static key-value cache.

Sizes are what the program has: heads, the MLP's width and the vocabulary may be padded to what a mesh divides
(`zoo.qwen2_5.sharding`). Only the embedding knows of chips, because its rows lie on all of them. Only what the TT
compiler takes is used: Python loops, positions as data, no sharded iota. Tokens of all sentences are rows of one
matrix [batch * queries, hidden]: of a product of three axes TT's compiler makes one of two, and reshapes around it.

Weights are [out, in], as PyTorch stores them, and not flax's [in, out]: nothing is transposed while a checkpoint is
loaded, and products of one or two rows read them in order. Activations, the residual sum and the cache are numbers of
`Qwen2Config.dtype`, as TT's chips have them between operations; products are summed, norms and softmax computed, in
float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers import rotary
from zoo.layers.cache import write
from zoo.layers.masks import MASKED, causal
from zoo.layers.products import einsum, joint_product, product, summed
from zoo.layers.rotary import matrices, rotated
from zoo.text.embedding import Embedding, spread_axes

if TYPE_CHECKING:
    from jax.sharding import AbstractMesh

    Cache: TypeAlias = tuple[tuple[jax.Array, jax.Array], ...]

SPREADS = {"model": ("model",), "all": ("batch", "model")}
"""Mesh axes that heads, the MLP's width and the vocabulary lie over; rows lie over ``batch`` where that is free."""

DTYPES = ("bfloat16", "float32")


@dataclass(frozen=True, slots=True)
class Qwen2Config:
    """Sizes of one variant, by transformers' names. ValueError where they contradict each other.

    spread: a key of `SPREADS`, which chips share one copy of the weights. dtype: of weights, cache and factors.
    Fitted to a `mesh` (None: one chip), `num_attention_heads`, `num_key_value_heads` and `intermediate_size` count
    padding and copies too; `vocab_size` never does: `vocab_padding` rows of the embedding and of the head follow its
    tokens.
    """

    name: str
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    max_position_embeddings: int = 32768
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1e6
    vocab_padding: int = 0
    dtype: str = "bfloat16"
    spread: str = "model"
    mesh: AbstractMesh | None = None

    def __post_init__(self) -> None:
        for field, value, known in (("dtype", self.dtype, DTYPES), ("spread", self.spread, SPREADS)):
            if value not in known:
                raise ValueError(f"{self.name}: {field} is {value!r}: expected one of {', '.join(known)}")
        if self.num_attention_heads % self.num_key_value_heads or self.head_dim % 2:
            raise ValueError(
                f"{self.name}: {self.num_attention_heads} heads of {self.head_dim} for {self.num_key_value_heads} of "
                "keys and values: expected a multiple, and an even size"
            )

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding and of the head: those of tokens, then padding."""
        return self.vocab_size + self.vocab_padding

    @property
    def axes(self) -> tuple[str, ...]:
        """Mesh axes that share one copy of the weights."""
        return SPREADS[self.spread]

    @property
    def chips(self) -> int:
        """Chips that share one copy of the weights."""
        return 1 if self.mesh is None else math.prod(self.mesh.shape[axis] for axis in self.axes)

    @property
    def summed_axes(self) -> tuple[str, ...]:
        """Those of `axes` along which there are several chips: a sum over a copy's chips is one along each."""
        return () if self.mesh is None else spread_axes(self.mesh, self.axes)

    @property
    def copies(self) -> int:
        """Copies of the weights, each of which computes its share of the rows."""
        return 1 if self.mesh is None else self.mesh.size // self.chips

    @property
    def rows(self) -> str | None:
        """The mesh axis that rows of a batch lie over."""
        return "batch" if self.spread == "model" else None


def _published(
    size: str,
    *,
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    tied: bool,
    long: bool = False,
) -> tuple[Qwen2Config, Qwen2Config]:
    base = Qwen2Config(
        f"qwen2.5-{size}",
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=hidden // heads,
        intermediate_size=intermediate,
        vocab_size=151936 if tied else 152064,
        tie_word_embeddings=tied,
        max_position_embeddings=131072 if long else 32768,
    )
    return base, replace(base, name=f"{base.name}-instruct", max_position_embeddings=32768)


def _tiny(heads: int, kv_heads: int, *, tied: bool) -> Qwen2Config:
    return Qwen2Config(
        f"tiny-{heads}-{kv_heads}",
        num_hidden_layers=2,
        hidden_size=8 * heads,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=8,
        intermediate_size=148,
        vocab_size=131,
        tie_word_embeddings=tied,
        max_position_embeddings=64,
        dtype="float32",
    )


def _two_layers_of_7b(name: str, vocab_size: int, dtype: str) -> Qwen2Config:
    return Qwen2Config(
        name,
        num_hidden_layers=2,
        hidden_size=3584,
        num_attention_heads=28,
        num_key_value_heads=4,
        head_dim=128,
        intermediate_size=18944,
        vocab_size=vocab_size,
        tie_word_embeddings=False,
        dtype=dtype,
    )


CONFIGS = {
    config.name: config
    for config in (
        # For tests: the head structure of 7B and of 0.5B; inner width and vocabulary divide by few numbers of chips.
        _tiny(28, 4, tied=False),
        _tiny(14, 2, tied=True),
        # Two layers of 7B: with few words for the golden, with all of them for measurements.
        _two_layers_of_7b("7b-2-layers-4k-words", 4096, "float32"),
        _two_layers_of_7b("7b-2-layers", 152064, "bfloat16"),
        *_published("0.5b", layers=24, hidden=896, heads=14, kv_heads=2, intermediate=4864, tied=True),
        *_published("1.5b", layers=28, hidden=1536, heads=12, kv_heads=2, intermediate=8960, tied=True, long=True),
        *_published("3b", layers=36, hidden=2048, heads=16, kv_heads=2, intermediate=11008, tied=True),
        *_published("7b", layers=28, hidden=3584, heads=28, kv_heads=4, intermediate=18944, tied=False, long=True),
    )
}


class Linear(nn.Module):
    """A matrix [out, in], and a bias where there is one."""

    inputs: int
    features: int
    dtype: str
    biased: bool = False

    def setup(self) -> None:
        dtype = jnp.dtype(self.dtype)
        self.weight = self.param("weight", nn.initializers.normal(0.02), (self.features, self.inputs), dtype)
        if self.biased:
            self.bias = self.param("bias", nn.initializers.zeros, (self.features,), dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, in] to [rows, out]."""
        y = product(x, self.weight)
        return y + self.bias if self.biased else y


class RMSNorm(nn.Module):
    """Each row divided by its root mean square, in float32."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [..., hidden] to the same."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        wide = x.astype(jnp.float32)
        wide = wide * jax.lax.rsqrt((wide * wide).mean(axis=-1, keepdims=True) + self.epsilon) * scale
        return wide.astype(x.dtype)


class Attention(nn.Module):
    """Each head of queries attends over the keys and values of its group's head."""

    config: Qwen2Config

    def setup(self) -> None:
        config = self.config
        queries, keys = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
        self.q, self.k, self.v = (
            Linear(config.hidden_size, features, config.dtype, biased=True) for features in (queries, keys, keys)
        )
        self.o = Linear(queries, config.hidden_size, config.dtype)

    def __call__(
        self,
        x: jax.Array,
        rotation: jax.Array,
        allowed: jax.Array,
        cache: tuple[jax.Array, jax.Array] | None = None,
        positions: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """`x` [batch * queries, hidden], `rotation` [batch, queries, head_dim, head_dim] of `matrices`.

        `allowed` bool [batch or 1, 1, group * queries, keys]. Gives the same shape as `x`, and keys and values [batch,
        kv heads, keys, head_dim]: of `x`, or the `cache` with those of `x`, one query a row, at `positions` [batch].
        """
        config, axes, rows = self.config, self.config.axes, self.config.rows
        in_linear = tuple((part.weight, part.bias) for part in (self.q, self.k, self.v))
        column, part = (P(axes, None), P(axes)), P(rows, axes, None, None)
        steps = () if cache is None or positions is None else (cache, positions)
        call = self._on_a_chip
        if config.summed_axes and not self.is_initializing():
            call = jax.shard_map(
                call,
                mesh=config.mesh,
                in_specs=(
                    P(rows),
                    P(rows),
                    P(rows if allowed.shape[0] > 1 else None),
                    ((column,) * 3, P(None, axes)),
                    *(((part, part), P(rows)) if steps else ()),
                ),
                out_specs=(P(rows), (part, part)),
                check_vma=False,
            )
        found: tuple[jax.Array, tuple[jax.Array, jax.Array]] = call(
            x, rotation, allowed, (in_linear, self.o.weight), *steps
        )
        return found

    def _on_a_chip(
        self, x: jax.Array, rotation: jax.Array, allowed: jax.Array, weights: Any, *steps: Any
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """`__call__` with a chip's heads; the sum over chips is the result."""
        ((q_part, k_part, v_part), behind), size = weights, self.config.head_dim
        kv_heads = k_part[1].shape[0] // size
        heads, group = q_part[1].shape[0] // size, q_part[1].shape[0] // k_part[1].shape[0]
        batch, queries = rotation.shape[:2]
        # The barriers keep TT's compiler from taking the product, or the transposed keys, apart again.
        joined = joint_product(x, (q_part[0], k_part[0], v_part[0]))
        y = jax.lax.optimization_barrier(joined + jnp.concatenate((q_part[1], k_part[1], v_part[1])))
        # The card writes tokens of all rows into the cache at once: a step's rows are its tokens.
        places = (1, batch) if steps else (batch, queries)
        y = y.reshape(*places, -1, size)
        turned = rotated(y[:, :, : heads + kv_heads], rotation.reshape(*places, size, size))
        parts = turned[:, :, :heads], turned[:, :, heads:], y[:, :, heads + kv_heads :]
        if steps:
            (keys, values), positions = steps
            q = parts[0].reshape(batch, kv_heads, group, size)
            k, v = (write(old, new.swapaxes(1, 2), positions) for old, new in ((keys, parts[1]), (values, parts[2])))
        else:
            q, k, v = (part.swapaxes(1, 2) for part in parts)
            q, k = q.reshape(batch, kv_heads, group * queries, size), jax.lax.optimization_barrier(k)
        mixed = grouped_attention(q, k, v, allowed)
        if not steps:
            mixed = mixed.reshape(batch, heads, queries, size).swapaxes(1, 2)
        return reduce(jax.lax.psum, self._sums(), product(mixed.reshape(x.shape[0], -1), behind)), (k, v)

    def _sums(self) -> tuple[str, ...]:
        return () if self.is_initializing() else self.config.summed_axes


def grouped_attention(q: jax.Array, k: jax.Array, v: jax.Array, allowed: jax.Array) -> jax.Array:
    """What queries `q` [batch, kv heads, group * queries, head_dim] see of `k` and `v` [batch, kv heads, keys, size].

    Products of `q` and `k` are scaled scores already. Scores and softmax are float32.
    """
    scores = jnp.einsum("bkqd,bktd->bkqt", q, k, preferred_element_type=summed(q)).astype(jnp.float32)
    weights = nn.softmax(jnp.where(allowed, scores, MASKED)).astype(v.dtype)
    return einsum("bkqt,bktd->bkqd", weights, v)


class MLP(nn.Module):
    """SwiGLU."""

    config: Qwen2Config

    def setup(self) -> None:
        config = self.config
        self.gate, self.up = (
            Linear(config.hidden_size, config.intermediate_size, config.dtype),
            Linear(config.hidden_size, config.intermediate_size, config.dtype),
        )
        self.down = Linear(config.intermediate_size, config.hidden_size, config.dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, hidden] to the same."""
        # Behind the barrier it is another input, so that TT's compiler does not make one product that it slices.
        return self.down(nn.silu(self.gate(x)) * self.up(jax.lax.optimization_barrier(x)))


class Block(nn.Module):
    """Attention and MLP, each after a norm and beside a residual."""

    config: Qwen2Config

    def setup(self) -> None:
        self.input_norm, self.post_attention_norm = (RMSNorm(self.config.rms_norm_eps) for _ in range(2))
        self.attention, self.mlp = Attention(self.config), MLP(self.config)

    def __call__(
        self,
        x: jax.Array,
        rotation: jax.Array,
        allowed: jax.Array,
        cache: tuple[jax.Array, jax.Array] | None = None,
        positions: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """As `Attention`."""
        attended, cache = self.attention(self.input_norm(x), rotation, allowed, cache, positions)
        x = x + attended
        return x + self.mlp(self.post_attention_norm(x)), cache


class Qwen2(nn.Module):
    """The language model. Token numbers, positions and masks are int32, logits float32."""

    config: Qwen2Config

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
        self.layers = [Block(config) for _ in range(config.num_hidden_layers)]
        self.norm = RMSNorm(config.rms_norm_eps)
        if not config.tie_word_embeddings:
            self.head = Linear(config.hidden_size, config.padded_vocab_size, config.dtype)

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array, position_ids: jax.Array) -> jax.Array:
        """Logits [batch, length, padded_vocab_size] of every position; those from `vocab_size` on are of the padding.

        All arguments are [batch, length]; where `attention_mask` is 0 there is padding, which nothing attends to.
        """
        allowed = causal(input_ids.shape[1]) & (attention_mask != 0)[:, None, None, :]
        x, rotation = self._embedded(input_ids), self._rotation(position_ids)
        for block in self.layers:
            x, _ = block(x, rotation, self._grouped(allowed))
        return self._logits(x).reshape(*input_ids.shape, -1)

    def prefill(self, input_ids: jax.Array, last: jax.Array, slots: int) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after each row's last token, and a cache of `slots` positions (static).

        `input_ids` [batch, length] padded on the right, `last` [batch] the position of each row's last token. What
        padding leaves in the cache is never read: `decode` overwrites a slot before it allows it.
        """
        batch, length = input_ids.shape
        x, rotation = self._embedded(input_ids), self._rotation(jnp.arange(length)[None, :])
        rotation = jnp.broadcast_to(rotation, (batch, *rotation.shape[1:]))
        cache = []
        for block in self.layers:
            x, (k, v) = block(x, rotation, self._grouped(causal(length)[None, None]))
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
        slots = jnp.arange(cache[0][0].shape[2])[None, :]
        allowed = (slots <= positions[:, None])[:, None, None, :]
        x, rotation = self._embedded(tokens[:, None]), self._rotation(positions[:, None])
        written = []
        for block, layer in zip(self.layers, cache, strict=True):
            x, layer = block(x, rotation, allowed, layer, positions)
            written.append(layer)
        return self._logits(x), tuple(written)

    def _embedded(self, ids: jax.Array) -> jax.Array:
        return self.embed(ids).reshape(-1, self.config.hidden_size)

    def _rotation(self, positions: jax.Array) -> jax.Array:
        cosine, sine = rotations(positions, self.config)
        return matrices(cosine, sine, jnp.dtype(self.config.dtype), scale=self.config.head_dim**-0.25)

    def _grouped(self, allowed: jax.Array) -> jax.Array:
        """`allowed` [..., queries, keys] for each query head of a group, [..., group * queries, keys]."""
        return jnp.tile(allowed, (1, 1, self.config.num_attention_heads // self.config.num_key_value_heads, 1))

    def _logits(self, x: jax.Array) -> jax.Array:
        weight = self.embed.embedding if self.config.tie_word_embeddings else self.head.weight
        return product(self.norm(x), weight).astype(jnp.float32)


def rotations(positions: jax.Array, config: Qwen2Config) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of each position's angles, each [..., head_dim / 2] float32; `positions` int32 [...]."""
    return rotary.rotations(
        positions,
        theta=config.rope_theta,
        head_dim=config.head_dim,
        max_positions=config.max_position_embeddings,
    )
