"""Qwen2.5 as transformers' Qwen2ForCausalLM computes it: a language model of Llama's kind (`zoo.layers.causal_lm`).

What is its own is the bias of queries, keys and values. Weights are [out, in], as PyTorch stores them, and not flax's
[in, out] (`zoo.layers.linear`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from zoo.layers.causal_lm import CausalLM
from zoo.layers.decoder_config import DecoderConfig


@dataclass(frozen=True, slots=True)
class Qwen2Config(DecoderConfig):
    """Sizes of one variant."""

    biased_heads: ClassVar[bool] = True


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


class Qwen2(CausalLM):
    """The language model of `config`."""

    config: Qwen2Config
