"""The whole model: Qwen2.5 as transformers' Qwen2ForCausalLM computes it, with a static key-value cache.

Sizes are what the program has: heads, the MLP's width and the vocabulary may be padded to what a mesh divides
(`zoo.qwen2_5.sharding`). Only the embedding knows of chips, because its rows lie on all of them. Only what the TT
compiler takes is used: Python loops, writes into the cache by select, positions as data, no sharded iota.

Weights are [out, in], as PyTorch stores them, and not flax's [in, out]: nothing is transposed while a checkpoint is
loaded, and products of one or two rows read them in order. Products take numbers of `Qwen2Config.dtype` and give
float32; norms, rotation, softmax and the residual sums stay in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from zoo.text.embedding import Embedding, spread_axes

if TYPE_CHECKING:
    from jax.sharding import AbstractMesh

    Cache: TypeAlias = tuple[tuple[jax.Array, jax.Array], ...]

MASKED = -1e9
"""Score of what may not be attended to: finite in bfloat16 too, and exp of it is 0."""

SPREADS = {"model": ("model",), "all": ("batch", "model")}
"""Mesh axes that heads, the MLP's width and the vocabulary lie over; rows lie over ``batch`` where that is free."""

DTYPES = ("bfloat16", "float32")

SUMS_FLOAT32 = jax.__version_info__ >= (0, 8, 1)
"""Whether simulated chips can sum products of bfloat16 in float32; those of older jaxlibs refuse more than one row."""


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


def product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """`x` [..., in] times `weight` [out, in]: [..., out] float32."""
    contracted = (((x.ndim - 1,), (1,)), ((), ()))
    x = x.astype(weight.dtype)
    return jax.lax.dot_general(x, weight, contracted, preferred_element_type=summed(x)).astype(jnp.float32)


def summed(factor: jax.Array) -> jnp.dtype:
    """The dtype that products of `factor` are summed in."""
    return jnp.dtype(jnp.float32) if SUMS_FLOAT32 else factor.dtype


class Linear(nn.Module):
    """A matrix [out, in], and a bias where there is one."""

    features: int
    dtype: str
    bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [..., in] to [..., out] float32."""
        shape = (self.features, x.shape[-1])
        y = product(x, self.param("weight", nn.initializers.normal(0.02), shape, jnp.dtype(self.dtype)))
        if self.bias:
            y += self.param("bias", nn.initializers.zeros, (self.features,), jnp.dtype(self.dtype))
        return y


class RMSNorm(nn.Module):
    """Each row divided by its root mean square, in float32."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [..., hidden] float32 to the same."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        return x * jax.lax.rsqrt((x * x).mean(axis=-1, keepdims=True) + self.epsilon) * scale


class Attention(nn.Module):
    """Each head of queries attends over the keys and values of its group's head."""

    config: Qwen2Config

    def setup(self) -> None:
        config = self.config
        keys = config.num_key_value_heads * config.head_dim
        self.q = Linear(config.num_attention_heads * config.head_dim, config.dtype, bias=True)
        self.k, self.v = Linear(keys, config.dtype, bias=True), Linear(keys, config.dtype, bias=True)
        self.o = Linear(config.hidden_size, config.dtype)

    def __call__(
        self,
        x: jax.Array,
        rotation: tuple[jax.Array, jax.Array],
        allowed: jax.Array,
        cache: tuple[jax.Array, jax.Array] | None = None,
        write: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """`x` [batch, queries, hidden], `allowed` bool, broadcast to [batch, kv heads, group, queries, keys].

        Gives the same shape as `x`, and keys and values [batch, kv heads, keys, head_dim]: of `x`, or the `cache` with
        those of the first query of `x` where `write`, bool [batch, 1, keys, 1], is true.
        """
        config, (batch, queries, _) = self.config, x.shape
        dtype, kv_heads = jnp.dtype(config.dtype), config.num_key_value_heads
        q = self.q(x).reshape(batch, queries, kv_heads, -1, config.head_dim).transpose(0, 2, 3, 1, 4)
        k, v = (part(x).reshape(batch, queries, kv_heads, -1).swapaxes(1, 2) for part in (self.k, self.v))
        q, k, v = rotated(q, rotation).astype(dtype), rotated(k, rotation).astype(dtype), v.astype(dtype)
        if cache is not None and write is not None:
            k, v = jnp.where(write, k[:, :, :1], cache[0]), jnp.where(write, v[:, :, :1], cache[1])
        scores = jnp.einsum("bkgqd,bktd->bkgqt", q, k, preferred_element_type=summed(q)).astype(jnp.float32)
        weights = nn.softmax(jnp.where(allowed, scores * config.head_dim**-0.5, MASKED)).astype(dtype)
        mixed = jnp.einsum("bkgqt,bktd->bkgqd", weights, v, preferred_element_type=summed(v))
        return self.o(mixed.transpose(0, 3, 1, 2, 4).reshape(batch, queries, -1)), (k, v)


class MLP(nn.Module):
    """SwiGLU."""

    config: Qwen2Config

    def setup(self) -> None:
        config = self.config
        self.gate, self.up = (
            Linear(config.intermediate_size, config.dtype),
            Linear(config.intermediate_size, config.dtype),
        )
        self.down = Linear(config.hidden_size, config.dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [batch, length, hidden] to the same."""
        return self.down(nn.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Attention and MLP, each after a norm and beside a residual."""

    config: Qwen2Config

    def setup(self) -> None:
        self.input_norm, self.post_attention_norm = (RMSNorm(self.config.rms_norm_eps) for _ in range(2))
        self.attention, self.mlp = Attention(self.config), MLP(self.config)

    def __call__(
        self,
        x: jax.Array,
        rotation: tuple[jax.Array, jax.Array],
        allowed: jax.Array,
        cache: tuple[jax.Array, jax.Array] | None = None,
        write: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """As `Attention`."""
        attended, cache = self.attention(self.input_norm(x), rotation, allowed, cache, write)
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
            self.head = Linear(config.padded_vocab_size, config.dtype)

    def __call__(self, input_ids: jax.Array, attention_mask: jax.Array, position_ids: jax.Array) -> jax.Array:
        """Logits [batch, length, padded_vocab_size] of every position; those from `vocab_size` on are of the padding.

        All arguments are [batch, length]; where `attention_mask` is 0 there is padding, which nothing attends to.
        """
        allowed = causal(input_ids.shape[1]) & (attention_mask != 0)[:, None, None, None, :]
        x, rotation = self._embedded(input_ids), rotations(position_ids, self.config)
        for block in self.layers:
            x, _ = block(x, rotation, allowed)
        return self._logits(x)

    def prefill(self, input_ids: jax.Array, last: jax.Array, slots: int) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after each row's last token, and a cache of `slots` positions (static).

        `input_ids` [batch, length] padded on the right, `last` [batch] the position of each row's last token. What
        padding leaves in the cache is never read: `decode` overwrites a slot before it allows it.
        """
        length = input_ids.shape[1]
        x, rotation = self._embedded(input_ids), rotations(jnp.arange(length)[None, :], self.config)
        cache = []
        for block in self.layers:
            x, (k, v) = block(x, rotation, causal(length))
            room = ((0, 0), (0, 0), (0, slots - length), (0, 0))
            cache.append((jnp.pad(k, room), jnp.pad(v, room)))
        # Rows by their number would be a gather from each row's own table; this sum is exact.
        chosen = jnp.arange(length)[None, :] == last[:, None]
        x = jnp.where(chosen[:, :, None], x, 0.0).sum(axis=1, keepdims=True)
        return self._logits(self._alone(x))[:, 0], tuple(cache)

    def decode(self, tokens: jax.Array, positions: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after one more token in each row, and the cache with it.

        `tokens` [batch] at `positions` [batch], which are their slots in the cache as well.
        """
        slots = jnp.arange(cache[0][0].shape[2])[None, :]
        write = (slots == positions[:, None])[:, None, :, None]
        allowed = (slots <= positions[:, None])[:, None, None, None, :]
        x, rotation = self._alone(self._embedded(tokens[:, None])), rotations(positions[:, None], self.config)
        written = []
        for block, layer in zip(self.layers, cache, strict=True):
            x, layer = block(x, rotation, allowed, layer, write)
            written.append(layer)
        return self._logits(x)[:, 0], tuple(written)

    def _embedded(self, ids: jax.Array) -> jax.Array:
        return self.embed(ids).astype(jnp.float32)

    def _logits(self, x: jax.Array) -> jax.Array:
        x = self.norm(x)
        return product(x, self.embed.embedding) if self.config.tie_word_embeddings else self.head(x)

    def _alone(self, x: jax.Array) -> jax.Array:
        """`x` [batch, 1, hidden], with a query of zeros behind the one where a chip would have a single row.

        Since XLA's CPU compiler sums bfloat16 in float32 it multiplies one row ten times slower than two, which real
        chips do at once: their tiles have 32 rows.
        """
        single = x.shape[0] // self.config.copies == 1
        slow = single and SUMS_FLOAT32 and self.config.dtype == "bfloat16"
        return jnp.pad(x, ((0, 0), (0, 1), (0, 0))) if slow else x


def causal(length: int) -> jax.Array:
    """Whether a query (row) may attend to a key (column), bool [length, length]."""
    places = jnp.arange(length)
    return places[:, None] >= places[None, :]


def rotated(x: jax.Array, rotation: tuple[jax.Array, jax.Array]) -> jax.Array:
    """`x` [batch, ..., queries, head_dim] with its two halves turned as pairs, by cosines and sines of `rotations`."""
    first, second = jnp.split(x, 2, axis=-1)
    between = tuple(range(1, x.ndim - 2))
    cosine, sine = (jnp.expand_dims(part, between) for part in rotation)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def rotations(positions: jax.Array, config: Qwen2Config) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of each position's angles, each [batch, queries, head_dim / 2] float32.

    `positions` int32 [batch, queries]. The angle is looked up in two parts, a multiple of `step` and the rest, and
    added by the sum formulas: one table of every position would be megabytes of constants in the program.
    """
    step, coarse, fine = rotation_tables(config.rope_theta, config.head_dim, config.max_position_embeddings)
    shift = jnp.int32(step.bit_length() - 1)
    (cosine, sine), (cosine_rest, sine_rest) = (
        jnp.split(jnp.take(table, at, axis=0, mode="clip"), 2, axis=-1)
        for table, at in (
            (coarse, jax.lax.shift_right_logical(positions, jnp.broadcast_to(shift, positions.shape))),
            (fine, positions & jnp.int32(step - 1)),
        )
    )
    return cosine * cosine_rest - sine * sine_rest, sine * cosine_rest + cosine * sine_rest


@lru_cache(maxsize=8)
def rotation_tables(theta: float, head_dim: int, positions: int) -> tuple[int, np.ndarray, np.ndarray]:
    """A power of two `step`; cosines beside sines at its multiples up to `positions`, and at 0 to `step` - 1.

    Tables are [rows, head_dim], computed on the host in float64 and rounded to float32 once.
    """
    step = 1 << math.ceil(math.log2(positions) / 2)
    frequencies = theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)

    def table(places: np.ndarray) -> np.ndarray:
        angles = places[:, None] * frequencies
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)

    return step, table(np.arange(-(-positions // step)) * step), table(np.arange(step))
