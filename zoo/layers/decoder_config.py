"""The config that decoders of Llama's kind share: sizes by transformers' names, and what a fitted one counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from flax import linen as nn

from zoo.layers.rotary import Rotary
from zoo.text.embedding import spread_axes

if TYPE_CHECKING:
    import jax
    from jax.sharding import AbstractMesh

SPREADS = {"model": ("model",), "all": ("batch", "model")}
"""Mesh axes that heads, the MLP's width and the vocabulary lie over; rows lie over ``batch`` where that is free."""

DTYPES = ("bfloat16", "float32")


class View(NamedTuple):
    """How a layer sees positions: how they turn its heads, and how many of the last it attends to (None: all)."""

    rotary: Rotary
    window: int | None = None


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Sizes of one variant, by transformers' names. ValueError where they contradict each other.

    spread: a key of `SPREADS`, which chips share one copy of the weights. dtype: of weights, cache and factors.
    Fitted to a `mesh` (None: one chip), `num_attention_heads`, `num_key_value_heads` and `intermediate_size` count
    padding and copies too; `vocab_size` never does: `vocab_padding` rows of the embedding and of the head follow its
    tokens. A model's config says what is particular to it by the class variables and by the properties from `rotary`
    to `embedding_scale`.
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

    biased_heads: ClassVar[bool] = False
    """Whether queries, keys and values have a bias."""
    normed_heads: ClassVar[bool] = False
    """Whether each head of queries and keys is normalised before it is turned."""
    norms: ClassVar[tuple[str, ...]] = ("input_norm", "post_attention_norm")
    """The normalisations of a block."""
    small_norms: ClassVar[tuple[str, ...]] = ()
    """Those of them whose scale is what a block adds to the residual sum, so that made-up ones are small."""
    stored_less_one: ClassVar[bool] = False
    """Whether checkpoints hold the scales of norms less 1."""

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
    def rotary(self) -> Rotary:
        """How positions turn heads."""
        return Rotary(self.rope_theta)

    @property
    def views(self) -> tuple[View, ...]:
        """One for each layer."""
        return (View(self.rotary),) * self.num_hidden_layers

    @property
    def score_scale(self) -> float:
        """What a product of a query and a key is multiplied with."""
        return float(self.head_dim**-0.5)

    @property
    def embedding_scale(self) -> float:
        """What embeddings are multiplied with."""
        return 1.0

    def activation(self, x: jax.Array, mesh: AbstractMesh | None) -> jax.Array:
        """The activation of the MLP's gate, `x` [rows, intermediate_size] on `mesh`; None: whole on one chip."""
        return nn.silu(x)

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
