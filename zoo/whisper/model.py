"""The whole model: Whisper (OpenAI) as transformers' WhisperForConditionalGeneration computes it.

An encoder reads the log-mel spectrogram of 30 seconds of sound, two convolutions first; a decoder writes what was said.
Layers are pre-normalised, the keys have no bias, the head is tied to the words. Sizes are what the program has, so
heads, the MLP's width and the vocabulary may be padded to what a mesh divides (`zoo.whisper.sharding`). Frames and
tokens of all rows are rows of one matrix; kernels are flax's [in, out].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.layers.cross_attention import Attention, behind
from zoo.layers.encoder import LayerNorm, RowParallel, gelu, on_each_chip
from zoo.layers.masks import causal
from zoo.layers.precision import Precision
from zoo.text.embedding import Embedding

if TYPE_CHECKING:
    from jax.sharding import AbstractMesh

    Pair: TypeAlias = tuple[jax.Array, jax.Array]
    Memory: TypeAlias = tuple[Pair, ...]
    """Keys and values of the sound for each layer of the decoder."""
    Cache: TypeAlias = tuple[Pair, ...]

PRECISION = Precision(activations="float32", residual="float32", heads="float32", outputs="float32")
"""Float32, as spectrograms are; parameters may be bfloat16. With the rest rounded as well, the golden ``scores`` is at
a PCC of 0.995 in place of 0.998 (emulated)."""

EPSILON = 1e-5
"""Of all norms: no key of a config.json says it."""


@dataclass(frozen=True, slots=True)
class WhisperConfig:
    """Sizes of one variant, by the zoo's names (docs/add_a_model.md); heads and widths of both stacks are the same.

    max_source_positions: of the encoder, half as many as frames. max_position_embeddings: of the decoder.
    Fitted to a `mesh` (None: one chip), `num_attention_heads` and `intermediate_size` count padding too; `vocab_size`
    never does: `vocab_padding` rows follow its tokens.
    """

    name: str
    num_hidden_layers: int
    num_decoder_layers: int
    hidden_size: int
    num_attention_heads: int
    intermediate_size: int
    head_dim: int = 64
    vocab_size: int = 51865
    vocab_padding: int = 0
    num_mel_bins: int = 80
    max_source_positions: int = 1500
    max_position_embeddings: int = 448
    mesh: AbstractMesh | None = None

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding: those of tokens, then padding."""
        return self.vocab_size + self.vocab_padding

    @property
    def frames(self) -> int:
        """Of the spectrogram: two a position of the encoder."""
        return 2 * self.max_source_positions


def _published(
    size: str, layers: int, heads: int, *, decoder: int | None = None, vocab: int = 51865, mels: int = 80
) -> WhisperConfig:
    return WhisperConfig(
        f"whisper-{size}",
        num_hidden_layers=layers,
        num_decoder_layers=decoder or layers,
        hidden_size=64 * heads,
        num_attention_heads=heads,
        intermediate_size=256 * heads,
        vocab_size=vocab,
        num_mel_bins=mels,
    )


TINY = WhisperConfig(
    "tiny",
    num_hidden_layers=2,
    num_decoder_layers=2,
    hidden_size=40,
    num_attention_heads=5,
    intermediate_size=90,
    head_dim=8,
    vocab_size=107,
    num_mel_bins=12,
    max_source_positions=20,
    max_position_embeddings=36,
)
"""For tests: few numbers of chips divide heads, vocabulary and the MLP's width."""

SMALLEST = _published("tiny", layers=4, heads=6)

CONFIGS = {
    config.name: config
    for config in (
        TINY,
        SMALLEST,
        _published("base", layers=6, heads=8),
        _published("small", layers=12, heads=12),
        _published("medium", layers=24, heads=16),
        _published("large-v2", layers=32, heads=20),
        _published("large-v3", layers=32, heads=20, vocab=51866, mels=128),
        _published("large-v3-turbo", layers=32, decoder=4, heads=20, vocab=51866, mels=128),
    )
}


class Table(nn.Module):
    """Positions: a table that is whole on each chip."""

    rows: int
    features: int

    def setup(self) -> None:
        self.embedding = self.param("embedding", nn.initializers.normal(0.02), (self.rows, self.features))

    def __call__(self, numbers: jax.Array) -> jax.Array:
        """Rows by number, int32 of any shape to [..., features]; beyond its ends its first and last row."""
        return jnp.take(self.embedding, numbers, axis=0, mode="clip")


class Convolution(nn.Module):
    """Three neighbours in time, zeros before the first and behind the last, every `stride` frames: 1 or 2.

    One product of matrices, of frames beside each other: TT's convolutions would need their weights prepared, and move
    the frames.
    """

    features: int
    stride: int
    mesh: AbstractMesh | None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [batch, frames, in] to [batch, frames / stride, features], through GELU."""
        batch, frames, inputs = x.shape
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (3 * inputs, self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        mesh = None if self.is_initializing() else self.mesh

        def on_a_chip(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
            if self.stride == 1:
                before, here, after = x[:, :-1], x, x[:, 1:]
                near = (jnp.pad(before, ((0, 0), (1, 0), (0, 0))), here, jnp.pad(after, ((0, 0), (0, 1), (0, 0))))
            else:
                here, after = (part[:, :, 0] for part in jnp.split(x.reshape(len(x), -1, 2, inputs), 2, axis=2))
                near = (jnp.pad(after[:, :-1], ((0, 0), (1, 0), (0, 0))), here, after)
            rows = jnp.concatenate(near, axis=2).reshape(-1, 3 * inputs)
            return gelu(rows @ kernel + bias)

        y: jax.Array = on_each_chip(on_a_chip, mesh, (P("batch"), P(), P()), P("batch"))(x, kernel, bias)
        return y.reshape(batch, frames // self.stride, self.features)


class MLP(nn.Module):
    """Two dense layers, GELU by erf between them."""

    config: WhisperConfig

    def setup(self) -> None:
        config = self.config
        self.up, self.down = nn.Dense(config.intermediate_size), RowParallel(config.hidden_size, config.mesh)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [rows, hidden] to the same."""
        spec, mesh = P("batch", "model"), None if self.is_initializing() else self.config.mesh
        y: jax.Array = self.down(on_each_chip(gelu, mesh, spec, spec)(self.up(x)))
        return y


def _attention(config: WhisperConfig) -> Attention:
    sizes = config.hidden_size, config.num_attention_heads, config.head_dim
    return Attention(*sizes, config.mesh, scale=config.head_dim**-0.5, biased="qvo")


class EncoderLayer(nn.Module):
    """Attention both ways and MLP, each after a norm and beside a residual."""

    config: WhisperConfig

    def setup(self) -> None:
        self.attention_norm, self.mlp_norm = (LayerNorm(EPSILON) for _ in range(2))
        self.attention, self.mlp = _attention(self.config), MLP(self.config)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` [batch * positions, hidden] to the same."""
        attended, _ = self.attention(self.attention_norm(x), self.config.max_source_positions)
        x = x + attended
        y: jax.Array = x + self.mlp(self.mlp_norm(x))
        return y


class DecoderLayer(nn.Module):
    """Attention to what is written, attention to the sound, and MLP, each after a norm and beside a residual."""

    config: WhisperConfig

    def setup(self) -> None:
        self.attention_norm, self.cross_norm, self.mlp_norm = (LayerNorm(EPSILON) for _ in range(3))
        self.attention, self.cross, self.mlp = _attention(self.config), _attention(self.config), MLP(self.config)

    def __call__(self, x: jax.Array, tokens: int, heard: Pair) -> jax.Array:
        """`x` [batch * tokens, hidden] to the same; `heard` is what `memory` gives."""
        attended, _ = self.attention(self.attention_norm(x), tokens, causal(tokens)[None, None])
        return self._rest(x + attended, heard)

    def memory(self, encoded: jax.Array) -> Pair:
        """Keys and values of `encoded` [batch * positions, hidden]."""
        return self.cross.memory(encoded, self.config.max_source_positions)

    def step(
        self, x: jax.Array, cache: Pair, positions: jax.Array, allowed: jax.Array, heard: Pair
    ) -> tuple[jax.Array, Pair]:
        """One token a row, `x` [batch, hidden] at `positions`: the same, and the cache with it."""
        attended, cache = self.attention.step(self.attention_norm(x), cache, positions, allowed)
        return self._rest(x + attended, heard), cache

    def _rest(self, x: jax.Array, heard: Pair) -> jax.Array:
        x = x + self.cross.over(self.cross_norm(x), heard)
        y: jax.Array = x + self.mlp(self.mlp_norm(x))
        return y


class Whisper(nn.Module):
    """The model of `config`. Token numbers are int32, spectrograms float32."""

    config: WhisperConfig

    def setup(self) -> None:
        config = self.config
        self.conv_1 = Convolution(config.hidden_size, 1, config.mesh)
        self.conv_2 = Convolution(config.hidden_size, 2, config.mesh)
        self.encoder_positions = Table(config.max_source_positions, config.hidden_size)
        self.encoder = [EncoderLayer(config) for _ in range(config.num_hidden_layers)]
        self.words = Embedding(config.vocab_size, config.padded_vocab_size, config.hidden_size, mesh=config.mesh)
        self.positions = Table(config.max_position_embeddings, config.hidden_size)
        self.decoder = [DecoderLayer(config) for _ in range(config.num_decoder_layers)]
        self.encoder_norm, self.decoder_norm = LayerNorm(EPSILON), LayerNorm(EPSILON)

    def __call__(self, input_features: jax.Array, decoder_input_ids: jax.Array) -> jax.Array:
        """Logits [batch, tokens, padded_vocab_size] after every token of `decoder_input_ids` [batch, tokens].

        `input_features` is the log-mel spectrogram [batch, num_mel_bins, frames].
        """
        tokens, encoded = decoder_input_ids.shape[1], self._encoded(input_features)
        words = self.words(behind(decoder_input_ids, encoded))
        x = _wide(words + self.positions(jnp.arange(tokens))).reshape(-1, self.config.hidden_size)
        for layer, heard in zip(self.decoder, self._memory(encoded), strict=True):
            x = layer(x, tokens, heard)
        return self._logits(x).reshape(*decoder_input_ids.shape, -1)

    def encode(self, slots: int, input_features: jax.Array) -> tuple[Memory, Cache]:
        """What the decoder's layers hear, and an empty cache of `slots` positions (static)."""
        config = self.config
        memory, rows = self._memory(self._encoded(input_features)), len(input_features)
        empty = jnp.zeros((rows, config.num_attention_heads, slots, config.head_dim), memory[0][0].dtype)
        return memory, ((empty, empty),) * config.num_decoder_layers

    def decode(self, tokens: jax.Array, positions: jax.Array, memory: Memory, cache: Cache) -> tuple[jax.Array, Cache]:
        """Logits [batch, padded_vocab_size] after one more token in each row, and the cache with it.

        `tokens` [batch] at `positions` [batch], which are their slots in the cache as well.
        """
        slots = cache[0][0].shape[2]
        allowed = (jnp.arange(slots)[None, :] <= positions[:, None])[:, None, None, :]
        x = _wide(self.words(tokens) + self.positions(positions))
        written = []
        for layer, own, heard in zip(self.decoder, cache, memory, strict=True):
            x, own = layer.step(x, own, positions, allowed, heard)
            written.append(own)
        return self._logits(x), tuple(written)

    def _encoded(self, input_features: jax.Array) -> jax.Array:
        """What the encoder makes of a spectrogram, [batch, positions, hidden]."""
        x = self.conv_2(self.conv_1(_wide(input_features).swapaxes(1, 2))) + self.encoder_positions.embedding
        rows = x.reshape(-1, x.shape[-1])
        for layer in self.encoder:
            rows = layer(rows)
        return self.encoder_norm(rows).reshape(x.shape)

    def _memory(self, encoded: jax.Array) -> Memory:
        rows = encoded.reshape(-1, encoded.shape[-1])
        return tuple(layer.memory(rows) for layer in self.decoder)

    def _logits(self, x: jax.Array) -> jax.Array:
        return jnp.einsum("rw,vw->rv", self.decoder_norm(x), self.words.embedding)


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(PRECISION.activations)
