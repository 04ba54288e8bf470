"""Llama as transformers' LlamaForCausalLM computes it, and Mistral as its MistralForCausalLM does.

Both are language models of `zoo.layers.causal_lm` as it is. Llama 3 scales the angles of its rotation for long texts;
a Mistral may attend to a window of the last positions only. SmolLM2 is a Llama.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo.layers.causal_lm import CausalLM
from zoo.layers.decoder_config import DecoderConfig, View
from zoo.layers.rotary import Llama3Scaling, Rotary

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class LlamaConfig(DecoderConfig):
    """Sizes of one variant. model_type: ``llama`` or ``mistral``, as transformers names its classes."""

    model_type: str = "llama"
    rms_norm_eps: float = 1e-5
    rope_theta: float = 5e5
    rope_scaling: Llama3Scaling | None = None
    sliding_window: int | None = None

    @property
    def rotary(self) -> Rotary:
        """How positions turn heads."""
        return Rotary(self.rope_theta, self.rope_scaling)

    @property
    def views(self) -> tuple[View, ...]:
        """One for each layer: all alike."""
        return (View(self.rotary, self.sliding_window),) * self.num_hidden_layers


def _tuned(base: LlamaConfig) -> Iterator[LlamaConfig]:
    """A published size, and the one that answers messages."""
    yield base
    yield replace(base, name=f"{base.name}-instruct")


def _llama(name: str, factor: float, *, layers: int, hidden: int, heads: int, **sizes: Any) -> Iterator[LlamaConfig]:
    return _tuned(
        LlamaConfig(
            name,
            num_hidden_layers=layers,
            hidden_size=hidden,
            num_attention_heads=heads,
            num_key_value_heads=8,
            head_dim=hidden // heads,
            vocab_size=128256,
            max_position_embeddings=131072,
            rope_scaling=Llama3Scaling(factor, 1.0, 4.0, 8192),
            **sizes,
        )
    )


def _smollm2(size: str, *, heads: int, kv_heads: int, layers: int, inner: int, theta: float) -> Iterator[LlamaConfig]:
    return _tuned(
        LlamaConfig(
            f"smollm2-{size}",
            num_hidden_layers=layers,
            hidden_size=64 * heads,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=64,
            intermediate_size=inner,
            vocab_size=49152,
            tie_word_embeddings=True,
            max_position_embeddings=8192,
            rope_theta=theta,
        )
    )


TINY = LlamaConfig(
    "tiny",
    num_hidden_layers=2,
    hidden_size=72,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=8,
    intermediate_size=100,
    vocab_size=131,
    tie_word_embeddings=True,
    max_position_embeddings=64,
    rope_theta=50.0,
    rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 32),
    dtype="float32",
)
"""For tests: the heads of the smallest SmolLM2, and a base by which some angles are scaled, some partly, some not."""

TINY_WINDOW = LlamaConfig(
    "tiny-window",
    num_hidden_layers=2,
    hidden_size=48,
    num_attention_heads=8,
    num_key_value_heads=2,
    head_dim=8,
    intermediate_size=100,
    vocab_size=131,
    tie_word_embeddings=False,
    max_position_embeddings=64,
    rope_theta=1e6,
    model_type="mistral",
    sliding_window=6,
    dtype="float32",
)
"""For tests: a window shorter than their texts, heads wider than the model together, and a head of its own."""

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        TINY_WINDOW,
        *_smollm2("135m", heads=9, kv_heads=3, layers=30, inner=1536, theta=1e5),
        *_smollm2("360m", heads=15, kv_heads=5, layers=32, inner=2560, theta=1e5),
        *_smollm2("1.7b", heads=32, kv_heads=32, layers=24, inner=8192, theta=1.3e5),
        *_llama(
            "llama-3.2-1b", 32.0, layers=16, hidden=2048, heads=32, intermediate_size=8192, tie_word_embeddings=True
        ),
        *_llama(
            "llama-3.2-3b", 32.0, layers=28, hidden=3072, heads=24, intermediate_size=8192, tie_word_embeddings=True
        ),
        *_llama(
            "llama-3.1-8b", 8.0, layers=32, hidden=4096, heads=32, intermediate_size=14336, tie_word_embeddings=False
        ),
        *_tuned(
            LlamaConfig(
                "mistral-7b-v0.3",
                num_hidden_layers=32,
                hidden_size=4096,
                num_attention_heads=32,
                num_key_value_heads=8,
                head_dim=128,
                intermediate_size=14336,
                vocab_size=32768,
                tie_word_embeddings=False,
                max_position_embeddings=32768,
                rope_theta=1e6,
                model_type="mistral",
            )
        ),
    )
}


class Llama(CausalLM):
    """The language model of `config`."""

    config: LlamaConfig
