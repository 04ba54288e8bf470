"""Qwen3 as transformers' Qwen3ForCausalLM computes it: a language model of `zoo.layers.causal_lm`.

What is its own: each head of queries and keys is normalised before it is turned, heads have a size of their own, and
nothing has a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.layers.causal_lm import CausalLM
from zoo.layers.decoder_config import DecoderConfig


@dataclass(frozen=True, slots=True)
class Qwen3Config(DecoderConfig):
    """Sizes of one variant."""

    normed_heads: ClassVar[bool] = True


def _published(size: str, *, layers: int, hidden: int, heads: int, intermediate: int, tied: bool) -> Qwen3Config:
    return Qwen3Config(
        f"qwen3-{size}",
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=8,
        head_dim=128,
        intermediate_size=intermediate,
        vocab_size=151936,
        tie_word_embeddings=tied,
        max_position_embeddings=40960,
    )


TINY = Qwen3Config(
    "tiny",
    num_hidden_layers=2,
    hidden_size=40,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=16,
    intermediate_size=100,
    vocab_size=131,
    tie_word_embeddings=False,
    max_position_embeddings=64,
    dtype="float32",
)
"""For tests: heads wider than the model together, and a head of its own."""

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        _published("0.6b", layers=28, hidden=1024, heads=16, intermediate=3072, tied=True),
        _published("1.7b", layers=28, hidden=2048, heads=16, intermediate=6144, tied=True),
        _published("4b", layers=36, hidden=2560, heads=32, intermediate=9728, tied=True),
        _published("8b", layers=36, hidden=4096, heads=32, intermediate=12288, tied=False),
    )
}


class Qwen3(CausalLM):
    """The language model of `config`."""

    config: Qwen3Config
