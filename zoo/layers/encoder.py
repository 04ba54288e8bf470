"""Layers of encoders: attention and an MLP, each added to its input. BERT's normalise the sums, ViT's what goes in.

Tokens of all sentences are rows of one matrix [batch * tokens, hidden]: of a product of three axes TT's compiler makes
one of two, and reshapes before and behind it. Kernels of queries, keys and values are [hidden, head, head_dim] and that
behind the attention [head, head_dim, hidden], so that heads are an axis which a mesh spreads and pads; all others are
flax's [in, out]. Rows lie along ``batch`` of a mesh, heads and inner units along ``model``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers.fused import fused
from zoo.layers.masks import MASKED
from zoo.layers.precision import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jax.sharding import AbstractMesh


BLOCK = 16
"""Columns of a weight that share an exponent in bfp8."""


class EncoderConfig(Protocol):
    """The sizes that a layer needs, and the mesh that it lies on, None: one chip."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def num_attention_heads(self) -> int: ...
    @property
    def head_dim(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def layer_norm_eps(self) -> float: ...
    @property
    def mesh(self) -> AbstractMesh | None: ...


def attention_bias(mask: jax.Array) -> jax.Array:
    """What `mask` [batch, tokens], 1 for tokens and 0 for padding, adds to scores: float32 [batch, 1, 1, tokens]."""
    return jnp.where(mask[:, None, None, :] > 0, 0.0, MASKED)


def attention(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array | None) -> jax.Array:
    """What scaled `query` sees of all tokens, both ways; all [batch, head, tokens, head_dim] but `bias`, None: nothing.

    Scores and their softmax are float32 for bfloat16 values too: bfloat16 has no digits behind the point of large
    scores, and TT's compiler makes one operation of a softmax in float32 only.
    """
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key, preferred_element_type=SHARED.scores)
    if bias is None or bias.shape[-2] > 1:
        # Else TT's compiler sees its own op for attention, and takes it apart into two operations more.
        scores = jax.lax.optimization_barrier(scores)
    shares = nn.softmax(scores if bias is None else scores + bias, axis=-1).astype(value.dtype)
    return jnp.einsum("bhqk,bhkd->bhqd", shares, value)


def gelu(x: jax.Array) -> jax.Array:
    """GELU by the error function, as BERT's ``gelu`` is; behind a product, one operation with it on the card."""

    def plain(x: jax.Array) -> jax.Array:
        return x * 0.5 * (1.0 + jax.lax.erf(x * 0.5**0.5))

    return fused("tenstorrent.gelu", plain, x)


class LayerNorm(nn.Module):
    """Layer normalisation, one operation on the card.

    The variance is of what is left after the mean: E[x^2] - E[x]^2 loses digits.
    """

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, units] to the same shape and dtype."""
        units = x.shape[-1:]

        def plain(x: jax.Array, scale: jax.Array, bias: jax.Array, *, epsilon: Any, normalized_shape: Any) -> jax.Array:
            wide = x.astype(SHARED.norms)
            rest = wide - jnp.mean(wide, axis=-1, keepdims=True)
            variance = jnp.mean(rest * rest, axis=-1, keepdims=True)
            return (rest * jax.lax.rsqrt(variance + epsilon) * scale + bias).astype(x.dtype)

        return fused(
            "tenstorrent.layer_norm",
            plain,
            x,
            self.param("scale", nn.initializers.ones_init(), units),
            self.param("bias", nn.initializers.zeros_init(), units),
            epsilon=np.float32(self.epsilon),
            normalized_shape=np.array(units, np.int64),
        )


def layer_norm(config: EncoderConfig, name: str) -> nn.Module:
    """A normalisation with the config's epsilon."""
    return LayerNorm(epsilon=config.layer_norm_eps, name=name)


def on_each_chip(
    function: Callable[..., Any], mesh: AbstractMesh | None, in_specs: Any, out_specs: Any
) -> Callable[..., Any]:
    """`function` of each chip's own part of its arguments; `function` itself where `mesh` is None.

    TT's compiler refuses the composite of a GELU whose operand it spreads itself: the decomposition stays whole.
    """
    if mesh is None:
        return function
    return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs)


def split_heads(
    x: jax.Array, kernels: Sequence[jax.Array], biases: Sequence[jax.Array], *, tokens: int | None, layer: int = 0
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scaled queries, keys and values of `x` [batch * tokens, hidden], each [batch, head, tokens, head_dim].

    `kernels` [hidden, head, head_dim] and `biases` [head, head_dim] are joined and scaled, so that it is one product.
    The chip does that to parameters once; scores it would scale at each call. The scale is shared out by powers of two
    of each `layer`'s own, which are exact: TT's compiler computes the weights that share a constant in one step, and
    then holds the queries' kernels of all layers twice, their few heads padded to 32 (256 MiB for BERT-base on 1x8, in
    place of 109). Not so where 16 columns, which have one exponent in weights of 8 bits, hold queries and keys: tiny
    models have no memory to save.
    """
    hidden, heads, size = kernels[0].shape
    up, down = size_scale(size, layer) if heads * size % BLOCK == 0 else (size**-0.5, 1.0)
    # As matrices: the chip pads the last two axes to 32, and so few heads would become 32.
    query, key, value = (kernel.reshape(hidden, heads * size) for kernel in kernels)
    kernel = jnp.concatenate([query * up, key * down, value], axis=1)
    query, key, value = (bias.reshape(heads * size) for bias in biases)
    y = x @ kernel + jnp.concatenate([query * up, key * down, value])
    y = y.reshape(-1, tokens, 3 * heads, size).swapaxes(1, 2)
    # Without the barrier TT's compiler slices first, and then swaps the axes of each slice.
    y = jax.lax.optimization_barrier(y)
    query, key, value = jnp.split(y, 3, axis=1)
    return query, key, value


def size_scale(size: int, layer: int) -> tuple[float, float]:
    """What queries and keys of heads of `size` are multiplied with in `layer`: together by size ** -0.5."""
    power = 2.0 ** (4 + layer % 32)
    return size**-0.5 * power, 1 / power


def number_of(name: str) -> int:
    """The number at the end of a layer's name, ``layer_3``; 0 without one."""
    end = name.rpartition("_")[2]
    return int(end) if end.isdigit() else 0


class Heads(nn.Module):
    """The parameters of a dense layer to heads: kernel [hidden, head, head_dim], bias [head, head_dim]."""

    hidden: int
    heads: int
    head_dim: int

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        """Kernel and bias."""
        kernel = nn.initializers.lecun_normal(in_axis=0, out_axis=(1, 2))
        return (
            self.param("kernel", kernel, (self.hidden, self.heads, self.head_dim)),
            self.param("bias", nn.initializers.zeros_init(), (self.heads, self.head_dim)),
        )


def summed_product(x: jax.Array, kernel: jax.Array, bias: jax.Array, mesh: AbstractMesh | None) -> jax.Array:
    """A chip's `x` [rows, inputs] times its `kernel` [inputs, outputs], added up along ``model``, plus `bias`.

    Each chip adds a share of the bias, which is part of the product there; behind the sum it would be one operation
    more.
    """
    chips = 1 if mesh is None else mesh.shape["model"]
    y = x @ kernel + bias / chips
    return y if chips == 1 else jax.lax.psum(y, "model")


class RowParallel(nn.Module):
    """A dense layer whose inputs lie along ``model``: each chip multiplies its own, and they add up."""

    outputs: int
    mesh: AbstractMesh | None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, …] to [rows, outputs]; the kernel is […, outputs]."""
        inputs = x.shape[1:]
        mesh = None if self.is_initializing() else self.mesh

        def product(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
            return summed_product(x.reshape(x.shape[0], -1), kernel.reshape(-1, self.outputs), bias, mesh)

        kernel = nn.initializers.lecun_normal(in_axis=tuple(range(len(inputs))), out_axis=-1)
        result: jax.Array = on_each_chip(product, mesh, (P("batch", "model"), P("model"), P()), P("batch"))(
            x,
            self.param("kernel", kernel, (*inputs, self.outputs)),
            self.param("bias", nn.initializers.zeros_init(), (self.outputs,)),
        )
        return result


class Layer(nn.Module):
    """Attention and MLP, each followed by the sum with its input and a normalisation of it.

    activation: of the MLP; None: `gelu`. tokens: of each row, where no bias says how many there are.
    """

    config: EncoderConfig
    activation: Callable[[jax.Array], jax.Array] | None = None
    tokens: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        """`x` [batch * tokens, hidden] to the same shape; `bias` [batch, 1, 1 or tokens, tokens] is added to scores."""
        x = layer_norm(self.config, "attention_norm")(x + self.attended(x, bias))
        y: jax.Array = layer_norm(self.config, "norm")(x + self.mlp(x))
        return y

    def attended(self, x: jax.Array, bias: jax.Array | None) -> jax.Array:
        """Attention of `x`, and the product behind it."""
        config, tokens = self.config, self.tokens if bias is None else bias.shape[-1]
        hidden, heads, size = config.hidden_size, config.num_attention_heads, config.head_dim
        query, key, value = (Heads(hidden, heads, size, name=name)() for name in ("query", "key", "value"))
        split = on_each_chip(
            partial(split_heads, tokens=tokens, layer=number_of(str(self.name))),
            self.spread,
            (P("batch"), (P(None, "model"),) * 3, (P("model"),) * 3),
            (P("batch", "model"),) * 3,
        )
        queries, keys, values = split(x, (query[0], key[0], value[0]), (query[1], key[1], value[1]))
        seen = attention(queries, keys, values, bias).swapaxes(1, 2).reshape(-1, heads, size)
        result: jax.Array = RowParallel(hidden, config.mesh, name="attention")(seen)
        return result

    def mlp(self, x: jax.Array) -> jax.Array:
        """The MLP of `x`."""
        config, spec = self.config, P("batch", "model")
        activation = self.activation or gelu
        inner = on_each_chip(activation, self.spread, spec, spec)(nn.Dense(config.intermediate_size, name="up")(x))
        result: jax.Array = RowParallel(config.hidden_size, config.mesh, name="down")(inner)
        return result

    @property
    def spread(self) -> AbstractMesh | None:
        """The mesh that parameters lie on: those that are being made lie on none."""
        return None if self.is_initializing() else self.config.mesh


class PreNormLayer(Layer):
    """Attention and MLP of normalised inputs, each added to what it is of, as in ViT and CLIP."""

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        """As `Layer`."""
        x = x + self.attended(layer_norm(self.config, "attention_norm")(x), bias)
        y: jax.Array = x + self.mlp(layer_norm(self.config, "norm")(x))
        return y


def layer_specs() -> dict[str, dict[str, P]]:
    """The specs of a layer's parameters: heads and inner units lie along ``model``."""
    norm = {"scale": P(), "bias": P()}
    by_head = {"kernel": P(None, "model", None), "bias": P("model", None)}
    return {
        "query": by_head,
        "key": by_head,
        "value": by_head,
        "attention": {"kernel": P("model", None, None), "bias": P()},
        "attention_norm": norm,
        "up": {"kernel": P(None, "model"), "bias": P("model")},
        "down": {"kernel": P("model", None), "bias": P()},
        "norm": norm,
    }
