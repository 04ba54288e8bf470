"""Gemma 3's text model as transformers' Gemma3ForCausalLM computes it: a language model of `zoo.layers.causal_lm`.

What is its own: norms before and behind attention and MLP, norms of each head, a GELU by tanh, scaled embeddings, and
layers of two kinds. Of so many layers all but the last attend to a window, and turn heads by angles of another base.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from jax.sharding import PartitionSpec as P

from zoo.layers.causal_lm import Block, CausalLM
from zoo.layers.decoder_config import DecoderConfig, View
from zoo.layers.encoder import on_each_chip
from zoo.layers.fused import gelu_tanh
from zoo.layers.rms_norm import RMSNorm
from zoo.layers.rotary import LinearScaling, Rotary

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jax
    from jax.sharding import AbstractMesh


@dataclass(frozen=True, slots=True)
class Gemma3Config(DecoderConfig):
    """Sizes of one variant. rope_theta and rope_scaling are those of layers that attend to everything."""

    query_pre_attn_scalar: int = 256
    rope_local_base_freq: float = 1e4
    rope_scaling: LinearScaling | None = None
    sliding_window: int = 512
    sliding_window_pattern: int = 6

    normed_heads: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = (
        "input_norm",
        "post_attention_norm",
        "pre_feedforward_norm",
        "post_feedforward_norm",
    )
    small_norms: ClassVar[tuple[str, ...]] = ("post_attention_norm", "post_feedforward_norm")
    stored_less_one: ClassVar[bool] = True

    @property
    def rotary(self) -> Rotary:
        """How positions turn heads where a layer attends to everything."""
        return Rotary(self.rope_theta, self.rope_scaling)

    @property
    def views(self) -> tuple[View, ...]:
        """One for each layer."""
        near, far = View(Rotary(self.rope_local_base_freq), self.sliding_window), View(self.rotary)
        layers = range(1, self.num_hidden_layers + 1)
        return tuple(near if number % self.sliding_window_pattern else far for number in layers)

    @property
    def score_scale(self) -> float:
        """What a product of a query and a key is multiplied with."""
        return float(self.query_pre_attn_scalar**-0.5)

    @property
    def embedding_scale(self) -> float:
        """What embeddings are multiplied with."""
        return float(self.hidden_size**0.5)

    def activation(self, x: jax.Array, mesh: AbstractMesh | None) -> jax.Array:
        """GELU by tanh, where a chip has its part of `x` [rows, intermediate_size]."""
        spec = P(self.rows, self.axes)
        found: jax.Array = on_each_chip(gelu_tanh, mesh, spec, spec)(x)
        return found


def _published(name: str, tunings: tuple[str, ...], **sizes: Any) -> Iterator[Gemma3Config]:
    base = Gemma3Config(name, head_dim=256, tie_word_embeddings=True, **sizes)
    return (replace(base, name=f"{name}-{tuning}") for tuning in tunings)


TINY = Gemma3Config(
    "tiny",
    num_hidden_layers=3,
    hidden_size=48,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=16,
    intermediate_size=100,
    vocab_size=131,
    tie_word_embeddings=True,
    max_position_embeddings=64,
    query_pre_attn_scalar=24,
    rope_theta=500.0,
    rope_local_base_freq=30.0,
    rope_scaling=LinearScaling(4.0),
    sliding_window=5,
    sliding_window_pattern=3,
    dtype="float32",
)
"""For tests: two layers that attend to less than a text, one to everything, and other scales than head_dim's."""

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        *_published(
            "gemma-3-1b",
            ("pt", "it"),
            num_hidden_layers=26,
            hidden_size=1152,
            num_attention_heads=4,
            num_key_value_heads=1,
            intermediate_size=6912,
            vocab_size=262144,
        ),
        *_published(
            "gemma-3-4b",
            ("text",),
            num_hidden_layers=34,
            hidden_size=2560,
            num_attention_heads=8,
            num_key_value_heads=4,
            intermediate_size=10240,
            vocab_size=262208,
            max_position_embeddings=131072,
            rope_scaling=LinearScaling(8.0),
            sliding_window=1024,
        ),
    )
}


class Gemma3Block(Block):
    """Attention and MLP, each between two norms and beside a residual."""

    def setup(self) -> None:
        super().setup()
        self.pre_feedforward_norm, self.post_feedforward_norm = (RMSNorm(self.config.rms_norm_eps) for _ in range(2))

    def __call__(
        self,
        x: jax.Array,
        rotation: jax.Array,
        allowed: jax.Array | None = None,
        cache: tuple[jax.Array, jax.Array] | None = None,
        positions: jax.Array | None = None,
        window: int | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """As `zoo.layers.grouped_attention.Attention`."""
        attended, cache = self.attention(self.input_norm(x), rotation, allowed, cache, positions, window)
        x = x + self.post_attention_norm(attended)
        return x + self.post_feedforward_norm(self.mlp(self.pre_feedforward_norm(x))), cache


class Gemma3(CausalLM):
    """The language model of `config`."""

    config: Gemma3Config

    block = Gemma3Block
