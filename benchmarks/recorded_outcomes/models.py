"""`tests/runner/test_config/jax`: models, each as the part of it that its recorded outcome is about.

- Memory: a program that holds weights of the model's number and shapes in float32 and multiplies by each of them.
  Attention, norms and activations are left out.
- Wrong numbers: a block of the model on as many chips.
- Compile failures: the op that the reason names, with the model's sizes.

Sizes are those of the models' published configs, with queries as wide as the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.programs import Argument, f32, i32
from benchmarks.recorded_outcomes.case import COMPILE, MEMORY, NUMBERS, PASSES, RUNTIME, Case, case

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = 32


@dataclass(frozen=True, slots=True)
class Decoder:
    """Sizes of a language model. kv: features of all heads of keys; matrices: those of a feed-forward block."""

    layers: int
    width: int
    kv: int
    inner: int
    vocabulary: int
    matrices: int = 3
    tied: bool = False


DECODERS = {
    "falcon/jax-3_1B_Base": (Decoder(18, 2048, 1024, 8192, 131072), PASSES),
    "falcon/jax-3_3B_Base": (Decoder(22, 3072, 1024, 9216, 131072), MEMORY),
    "gpt2/causal_lm/jax-Base": (Decoder(12, 768, 768, 3072, 50257, 2, tied=True), PASSES),
    "gpt2/causal_lm/jax-Medium": (Decoder(24, 1024, 1024, 4096, 50257, 2, tied=True), PASSES),
    "gpt2/causal_lm/jax-Large": (Decoder(36, 1280, 1280, 5120, 50257, 2, tied=True), PASSES),
    "gpt2/causal_lm/jax-Xl": (Decoder(48, 1600, 1600, 6400, 50257, 2, tied=True), PASSES),
    "llama/causal_lm/jax-1B_Tiny": (Decoder(22, 2048, 256, 5632, 32000), PASSES),
    "llama/causal_lm/jax-3B_v2": (Decoder(26, 3200, 3200, 8640, 32000), MEMORY),
    "mistral/causal_lm/jax-v0_2_Instruct": (Decoder(32, 4096, 1024, 14336, 32000), MEMORY),
    "mistral/causal_lm/jax-v0_3_Instruct": (Decoder(32, 4096, 1024, 14336, 32768), MEMORY),
    "phi1/causal_lm/jax-Phi_1": (Decoder(24, 2048, 2048, 8192, 51200, 2), PASSES),
    "phi1_5/causal_lm/jax-Phi_1_5": (Decoder(24, 2048, 2048, 8192, 51200, 2), PASSES),
    "phi2/causal_lm/jax-Phi_2": (Decoder(32, 2560, 2560, 10240, 51200, 2), MEMORY),
    "phi3/causal_lm/jax-Phi_3_Mini_4K_Instruct": (Decoder(32, 3072, 3072, 8192, 32064), MEMORY),
    "qwen_2_5/causal_lm/jax-0.5B": (Decoder(24, 896, 128, 4864, 151936, tied=True), PASSES),
    "qwen_2_5/causal_lm/jax-1.5B_Instruct": (Decoder(28, 1536, 256, 8960, 151936, tied=True), PASSES),
    "qwen_2_5/causal_lm/jax-3B_Instruct": (Decoder(36, 2048, 256, 11008, 151936, tied=True), MEMORY),
    "qwen_2_5/causal_lm/jax-7B": (Decoder(28, 3584, 512, 18944, 152064), MEMORY),
    "qwen_3/causal_lm/jax-1_7B": (Decoder(28, 2048, 1024, 6144, 151936, tied=True), MEMORY),
    "qwen_3/causal_lm/jax-4B": (Decoder(36, 2560, 1024, 9728, 151936, tied=True), MEMORY),
    "stablelm/causal_lm/jax-3B_Alpha": (Decoder(16, 4096, 4096, 16384, 50688, 2), MEMORY),
    "stablelm/causal_lm/jax-7B_Alpha": (Decoder(16, 6144, 6144, 24576, 50432, 2), MEMORY),
}
"""Each with what is recorded for one Wormhole chip."""

WRONG_ON_SEVERAL = (
    "falcon/jax-3_1B_Base", "llama/causal_lm/jax-3B_v2", "phi1/causal_lm/jax-Phi_1", "phi1_5/causal_lm/jax-Phi_1_5",
    "phi2/causal_lm/jax-Phi_2", "qwen_2_5/causal_lm/jax-0.5B", "qwen_2_5/causal_lm/jax-1.5B_Instruct",
    "qwen_2_5/causal_lm/jax-3B_Instruct", "qwen_3/causal_lm/jax-1_7B", "qwen_3/causal_lm/jax-4B",
)  # fmt: skip
"""Recorded as running tensor-parallel, with a correlation that is nowhere near one."""
RIGHT_ON_SEVERAL = ("llama/causal_lm/jax-1B_Tiny",)


def weights(model: Decoder) -> list[Argument]:
    """Every matrix of the model, layer by layer, then the vocabulary's, once or twice."""
    layer = [(model.width, model.width), (model.width, model.kv), (model.width, model.kv), (model.width, model.width)]
    layer += [(model.width, model.inner)] * (model.matrices - 1) + [(model.inner, model.width)]
    vocabulary = [(model.width, model.vocabulary)] * (1 if model.tied else 2)
    return [f32(*shape) for shape in layer * model.layers + vocabulary]


def multiply(x: jax.Array, *matrices: jax.Array) -> jax.Array:
    """By each of the matrices; those that change the number of features change it back with their transpose."""
    for matrix in matrices:
        y = x @ matrix if matrix.shape[0] == x.shape[-1] else x @ matrix.T
        x = y if y.shape == x.shape else x + y.sum(-1, keepdims=True)
    return x


def block(x: jax.Array, q: jax.Array, k: jax.Array, o: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
    """Attention with one head per chip, and a feed-forward block."""
    y = x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    heads, keys = (y @ q).reshape(TOKENS, 8, -1), (y @ k).reshape(TOKENS, 8, -1)
    heads = heads[..., : keys.shape[-1]]
    scores = jax.nn.softmax(jnp.einsum("qhd,khd->hqk", heads, keys), axis=-1)
    mixed = jnp.einsum("hqk,khd->qhd", scores, keys).reshape(TOKENS, -1)
    x = x + mixed @ o[: mixed.shape[-1]]
    return x + jax.nn.silu(x @ up) @ down


def language_models() -> Iterator[Case]:
    """On one chip: by memory. On eight: by numbers."""
    for name, (model, recorded) in DECODERS.items():
        yield case(
            f"{name}-single_device",
            multiply,
            f32(TOKENS, model.width),
            *weights(model),
            recorded=recorded,
            reason="DRAM" if recorded == MEMORY else "",
        )
    for name in (*WRONG_ON_SEVERAL, *RIGHT_ON_SEVERAL):
        model, _ = DECODERS[name]
        columns = (None, "model")
        yield case(
            f"{name}-tensor_parallel",
            block,
            f32(TOKENS, model.width),
            f32(model.width, model.width).spread(*columns),
            f32(model.width, model.kv).spread(*columns),
            f32(model.width, model.width).spread("model"),
            f32(model.width, model.inner).spread(*columns),
            f32(model.inner, model.width).spread("model"),
            mesh="1x8",
            out=(),
            recorded=NUMBERS if name in WRONG_ON_SEVERAL else PASSES,
            reason="correlation near 0" if name in WRONG_ON_SEVERAL else "",
        )


def look_up(table: jax.Array, tokens: jax.Array) -> jax.Array:
    """Rows of a table."""
    return jnp.take(table, tokens, axis=0)


def depthwise(x: jax.Array, w: jax.Array) -> jax.Array:
    """A causal convolution of each channel by itself."""
    return lax.conv_general_dilated(
        x, w, (1,), ((3, 0),), dimension_numbers=("NHC", "HIO", "NHC"), feature_group_count=x.shape[-1]
    )


def other_failures() -> Iterator[Case]:
    """The op that the reason names."""
    for name, width in (("Base", 768), ("Medium", 1024), ("Large", 1280), ("Xl", 1600)):
        yield case(
            f"gpt2/causal_lm/jax-{name}-tensor_parallel",
            look_up,
            f32(50257, width).spread(None, "model"),
            i32(1, TOKENS),
            mesh="1x8",
            recorded=COMPILE,
            reason="gather of a spread table (tt-mlir 6653)",
        )
    for name, width in (("370m", 2048), ("790m", 3072), ("1.4b", 4096), ("2.8b", 5120)):
        x, w = f32(1, TOKENS, width), f32(4, 1, width)
        yield case(f"mamba/causal_lm/jax-mamba-{name}-hf-single_device", depthwise, x, w)
        yield case(
            f"mamba/causal_lm/jax-mamba-{name}-hf-tensor_parallel",
            depthwise,
            x.spread(None, None, "model"),
            w.spread(None, None, "model"),
            mesh="1x8",
            recorded=COMPILE,
            reason="depthwise convolution over spread channels (tt-xla 3429)",
        )
    yield case(
        "mamba2/causal_lm/jax-Codestral-7B-v0.1-single_device",
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 1, 256, 1), (1, 1, 1, 1), ((0, 0), (0, 0), (255, 0), (0, 0))),
        f32(1, 8, 256, 256),
        recorded=COMPILE,
        reason="reduce_window (tt-xla 3493)",
    )
    for name, width, head in (("270M", 1280, 64), ("450M", 1536, 64), ("1_1B", 2048, 64), ("3B", 3072, 128)):
        yield case(
            f"openelm/causal_lm/jax-{name}-tensor_parallel",
            lambda x, w, head=head: (x @ w).reshape(1, TOKENS, -1, head).transpose(0, 2, 1, 3),
            f32(1, TOKENS, width),
            f32(width, 18 * head).spread(None, "model"),
            mesh="1x8",
            recorded=RUNTIME,
            reason="heads that do not divide among the chips",
        )
    for name, patch, width, side in (
        ("vit/Base_Patch16_224", 16, 768, 224),
        ("vit/Base_Patch16_384", 16, 768, 384),
        ("vit/Base_Patch32_384", 32, 768, 384),
        ("vit/Large_Patch16_224", 16, 1024, 224),
        ("vit/Huge_Patch14_224", 14, 1280, 224),
        ("dinov2/Base", 14, 768, 518),
        ("beit/Large", 16, 1024, 224),
    ):
        yield case(
            f"{name}-training",
            lambda x, w, s=patch: jax.grad(lambda w: (_patches(x, w, s) ** 2).mean())(w),
            f32(8, side, side, 3),
            f32(patch, patch, 3, width),
            recorded=RUNTIME,
            reason="L1",
        )
    yield case(
        "resnet/image_classification/jax-ResNet50-training",
        lambda x, w: jax.grad(lambda w: (_stem(x, w) ** 2).mean())(w),
        f32(8, 224, 224, 3),
        f32(7, 7, 3, 64),
        recorded=RUNTIME,
        reason="L1",
    )
    for name, rate in (("Cnn_Batchnorm", 0.0), ("Cnn_Dropout", 0.5)):
        yield case(
            f"mnist/image_classification/jax-{name}-training",
            lambda key, x, w, rate=rate: jax.grad(lambda w: (_regularised(key, x, w, rate) ** 2).mean())(w),
            Argument((2,), "uint32"),
            f32(8, 28, 28, 1),
            f32(3, 3, 1, 32),
            recorded=NUMBERS,
            reason="nan" if rate == 0 else "correlation 0.14",
        )
        yield case(
            f"mnist/image_classification/jax-{name}-inference",
            lambda x, w: jax.nn.relu(_convolved(x, w)),
            f32(8, 28, 28, 1),
            f32(3, 3, 1, 32),
        )


def _convolved(x: jax.Array, w: jax.Array, stride: int = 1, padding: Any = "SAME") -> jax.Array:
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _patches(x: jax.Array, w: jax.Array, size: int) -> jax.Array:
    return _convolved(x, w, size, "VALID")


def _stem(x: jax.Array, w: jax.Array) -> jax.Array:
    return _convolved(x, w, 2, ((3, 3), (3, 3)))


def _regularised(key: jax.Array, x: jax.Array, w: jax.Array, rate: float) -> jax.Array:
    y = _convolved(x, w)
    y = (y - y.mean((0, 1, 2))) * lax.rsqrt(y.var((0, 1, 2)) + 1e-5)
    return y if rate == 0 else jnp.where(jax.random.bernoulli(key, 1 - rate, y.shape), y / (1 - rate), 0)


CASES = (*language_models(), *other_failures())
