"""Attention of models that have an encoder and a decoder: over the rows of `x`, over a cache, over what was encoded.

Tokens of all rows are rows of one matrix [batch * tokens, hidden], kernels are flax's [in, out] with the heads along
the mesh's axis ``model``, and each chip computes with its own: one all-reduce behind each attention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers.cache import write
from zoo.layers.masks import MASKED
from zoo.layers.precision import SHARED
from zoo.layers.products import summed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jax.sharding import AbstractMesh

    Pair: TypeAlias = tuple[jax.Array, jax.Array]
    """Keys and values, [batch, heads, keys, head_dim] each."""
    Part: TypeAlias = tuple[jax.Array, ...]
    """Kernel of a projection, and its bias where it has one."""
    Others: TypeAlias = dict[str, Any]
    """By name: ``allowed``, ``bias``, ``cache``, ``positions``, ``memory``; those that there are."""

_ROWS, _HEADS = P("batch"), P("batch", "model")


class Projection(nn.Module):
    """Kernel [inputs, features], and a bias [features] where it is `biased`; the product is computed elsewhere."""

    inputs: int
    features: int
    biased: bool

    @nn.compact
    def __call__(self) -> Part:
        """Kernel, and bias."""
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (self.inputs, self.features))
        return (
            (kernel, self.param("bias", nn.initializers.zeros_init(), (self.features,))) if self.biased else (kernel,)
        )


class Attention(nn.Module):
    """Every head's attention over the positions that `allowed` says (None: all); scores are the products times `scale`.

    biased: names of the projections, ``qkvo``, that have a bias. `allowed` is bool [batch or 1, 1, queries or 1,
    keys], and what is added to scores `bias` [batch or 1, heads, queries, keys], where there is one.
    """

    hidden: int
    heads: int
    head_dim: int
    mesh: AbstractMesh | None
    scale: float = 1.0
    biased: str = ""

    def setup(self) -> None:
        width = self.heads * self.head_dim
        self.q, self.k, self.v = (Projection(self.hidden, width, name in self.biased) for name in "qkv")
        self.o = Projection(width, self.hidden, "o" in self.biased)

    def __call__(
        self, x: jax.Array, tokens: int, allowed: jax.Array | None = None, bias: jax.Array | None = None
    ) -> tuple[jax.Array, Pair]:
        """`x` [batch * tokens, hidden] over its own rows: the same shape, and its keys and values."""

        def own(x: jax.Array, parts: Sequence[Part], o: Part, others: Others) -> tuple[jax.Array, Pair]:
            q, k, v = self._split(self._products(x, parts), tokens)
            return self._summed(_attended(q, k, v, others), o), (k, v)

        parts = (self.q(), self.k(), self.v())
        found: tuple[jax.Array, Pair] = self._on_each_chip(
            own, (_ROWS, (_HEADS, _HEADS)), x, parts, allowed=allowed, bias=bias
        )
        return found

    def step(
        self, x: jax.Array, cache: Pair, positions: jax.Array, allowed: jax.Array, bias: jax.Array | None = None
    ) -> tuple[jax.Array, Pair]:
        """One query a row, `x` [batch, hidden] at `positions` [batch]: over the `cache`, and the cache with it."""

        def one(x: jax.Array, parts: Sequence[Part], o: Part, others: Others) -> tuple[jax.Array, Pair]:
            q, *new = self._split(self._products(x, parts), None)
            keys, values = (
                write(old, part.swapaxes(1, 2), others["positions"])
                for old, part in zip(others["cache"], new, strict=True)
            )
            mixed = _attended(q.reshape(x.shape[0], -1, 1, self.head_dim), keys, values, others)
            return self._summed(mixed, o), (keys, values)

        given: Others = {"cache": cache, "positions": positions, "allowed": allowed, "bias": bias}
        parts = (self.q(), self.k(), self.v())
        found: tuple[jax.Array, Pair] = self._on_each_chip(one, (_ROWS, (_HEADS, _HEADS)), x, parts, **given)
        return found

    def memory(self, encoded: jax.Array, tokens: int) -> Pair:
        """Keys and values of `encoded` [batch * tokens, hidden], for `over`."""

        def pair(x: jax.Array, parts: Sequence[Part]) -> Pair:
            k, v = self._split(_products(x, parts), tokens)
            return k, v

        parts = (self.k(), self.v())
        found: Pair = self._mapped(pair, (_ROWS, tuple(map(_columns, parts))), (_HEADS, _HEADS))(encoded, parts)
        return found

    def over(self, x: jax.Array, memory: Pair, allowed: jax.Array | None = None) -> jax.Array:
        """`x` [batch * queries, hidden] over what `memory` made of another sequence: the same shape.

        `allowed` is [batch or 1, 1, 1, keys].
        """
        queries = x.shape[0] // memory[0].shape[0]

        def other(x: jax.Array, parts: Sequence[Part], o: Part, others: Others) -> jax.Array:
            (q,) = self._split(self._products(x, parts), queries)
            keys, values = others["memory"]
            return self._summed(_attended(q, keys, values, others), o)

        found: jax.Array = self._on_each_chip(other, _ROWS, x, (self.q(),), memory=memory, allowed=allowed)
        return found

    def _products(self, x: jax.Array, parts: Sequence[Part]) -> list[jax.Array]:
        """As the function of this name; the first of `parts`, of queries, scaled."""
        return _products(x, parts, self.scale)

    def _split(self, products: Sequence[jax.Array], queries: int | None) -> tuple[jax.Array, ...]:
        """Each [batch * queries, heads * head_dim] as [batch, heads, queries, head_dim].

        `queries` None: of one query a row as the cache takes them, [1, batch, heads, head_dim].
        """
        rows = (1, -1) if queries is None else (-1, queries)
        each = (y.reshape(*rows, y.shape[1] // self.head_dim, self.head_dim) for y in products)
        return tuple(y if queries is None else y.swapaxes(1, 2) for y in each)

    def _summed(self, mixed: jax.Array, o: Part) -> jax.Array:
        """The product behind the attention of [batch, heads, queries, head_dim], added up over the chips."""
        if mixed.shape[2] > 1:
            mixed = mixed.swapaxes(1, 2)
        chips = 1 if self._spread is None else self._spread.shape["model"]
        y = mixed.reshape(-1, o[0].shape[0]) @ o[0]
        if len(o) > 1:
            y = y + o[1] / chips  # a share on each: behind the sum it would be one operation more
        return y if chips == 1 else jax.lax.psum(y, "model")

    def _on_each_chip(self, function: Any, results: Any, x: jax.Array, parts: Sequence[Part], **others: Any) -> Any:
        """``function(x, parts, o, others)`` with each chip's heads; of `others` those that are not None."""
        given, o = {name: value for name, value in others.items() if value is not None}, self.o()
        pair = (_HEADS, _HEADS)
        known = {"cache": pair, "memory": pair, "positions": _ROWS}
        specs = {name: known.get(name) or _of_rows(name, value) for name, value in given.items()}
        kernel_and_bias = (P("model", None), P())[: len(o)]
        arguments = (_ROWS, tuple(map(_columns, parts)), kernel_and_bias, specs)
        return self._mapped(function, arguments, results)(x, tuple(parts), o, given)

    def _mapped(self, function: Any, specs: Any, results: Any) -> Any:
        if self._spread is None:
            return function
        return jax.shard_map(function, mesh=self._spread, in_specs=specs, out_specs=results, check_vma=False)

    @property
    def _spread(self) -> AbstractMesh | None:
        """The mesh that parameters lie on: those that are being made lie on none."""
        return None if self.is_initializing() else self.mesh


def behind(x: jax.Array, other: jax.Array) -> jax.Array:
    """`x` [batch, …], for XLA's CPU compiler not before `other` [batch, tokens, hidden] is known.

    A decoder's words and first attention depend on nothing that was read: some versions join their sums over the chips
    with the encoder's, and others do not.
    """

    def waiting(x: jax.Array, other: jax.Array) -> jax.Array:
        nothing = 0.0 * other[:, 0, 0].reshape(-1, *(1,) * (x.ndim - 1))
        return x + nothing.astype(x.dtype)

    def at_once(x: jax.Array, other: jax.Array) -> jax.Array:
        return x

    found: jax.Array = jax.lax.platform_dependent(x, other, cpu=waiting, default=at_once)
    return found


def _of_rows(name: str, value: jax.Array) -> P:
    """Of ``allowed`` and ``bias``, which may be the same for all rows; only the second has numbers for each head."""
    return P("batch" if value.shape[0] > 1 else None, "model" if name == "bias" else None)


def _columns(part: Part) -> tuple[P, ...]:
    return (P(None, "model"), P("model"))[: len(part)]


def _products(x: jax.Array, parts: Sequence[Part], scale: float = 1.0) -> list[jax.Array]:
    """`x` [rows, in] by each of `parts`, the first times `scale`.

    On the card by one product, whose kernel it joins once, as it is made of parameters; elsewhere that would be done at
    each call.
    """
    factors = [scale, *(1.0,) * (len(parts) - 1)]

    def joined(x: jax.Array, parts: Sequence[Part]) -> list[jax.Array]:
        y = x @ jnp.concatenate([_scaled(kernel, by) for (kernel, *_), by in zip(parts, factors, strict=True)], axis=1)
        if any(len(part) > 1 for part in parts):
            biases = [part[1] if len(part) > 1 else jnp.zeros(part[0].shape[1], x.dtype) for part in parts]
            y = y + jnp.concatenate([_scaled(bias, by) for bias, by in zip(biases, factors, strict=True)])
        # Without the barrier TT's compiler takes the product apart again.
        return jnp.split(jax.lax.optimization_barrier(y), len(parts), axis=1)

    def apart(x: jax.Array, parts: Sequence[Part]) -> list[jax.Array]:
        products = (x @ part[0] + part[1] if len(part) > 1 else x @ part[0] for part in parts)
        return [_scaled(y, by) for y, by in zip(products, factors, strict=True)]

    found: list[jax.Array] = jax.lax.platform_dependent(x, tuple(parts), tt=joined, default=apart)
    return found


def _scaled(x: jax.Array, by: float) -> jax.Array:
    return x if by == 1.0 else x * by


def _attended(q: jax.Array, k: jax.Array, v: jax.Array, others: Others) -> jax.Array:
    """What `q` [batch, heads, queries, head_dim] sees of `k` and `v` [batch, heads, keys, head_dim].

    Scores and their softmax are float32 for bfloat16 values too.
    """
    scores = jnp.einsum("bhqd,bhkd->bhqk", q, k, preferred_element_type=summed(q)).astype(SHARED.scores)
    if "bias" in others:
        scores = scores + others["bias"]
    if "allowed" in others:
        scores = jnp.where(others["allowed"], scores, MASKED)
    return jnp.einsum("bhqk,bhkd->bhqd", nn.softmax(scores).astype(v.dtype), v)
