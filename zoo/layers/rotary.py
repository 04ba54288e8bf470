"""Rotary position embedding (Su et al., 2021) of halves, as Llama's and Qwen's: one product with a matrix a position.

The two halves of a head turn as pairs by angles that grow with the position. As cosines and sines that is seven device
operations a layer (TT's compiler knows the pattern and takes it apart again without its optimizer); the matrices are
made once a program and one product turns all heads. They take 2 head_dim^2 bytes a position in bfloat16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from zoo.layers.products import einsum


@dataclass(frozen=True, slots=True)
class LinearScaling:
    """All angles divided by `factor`, as transformers' rope type ``linear``."""

    factor: float

    def scaled(self, frequencies: np.ndarray) -> np.ndarray:
        """What becomes of `frequencies`, in radians a position."""
        return frequencies / self.factor


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Slow turns divided by `factor`, fast ones left, and between them a share of both: Llama 3.1's ``llama3``.

    A turn is slow where fewer than `low_freq_factor` of it fit into `original_max_position_embeddings`, and fast where
    more than `high_freq_factor` do (transformers, ``modeling_rope_utils``).
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int

    def scaled(self, frequencies: np.ndarray) -> np.ndarray:
        """What becomes of `frequencies`, in radians a position."""
        turns = self.original_max_position_embeddings * frequencies / (2 * math.pi)
        kept = np.clip((turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor), 0.0, 1.0)
        return frequencies * (kept + (1.0 - kept) / self.factor)


@dataclass(frozen=True, slots=True)
class Rotary:
    """The angles of a rotation: the base `theta` of their frequencies, and how these are scaled for longer texts."""

    theta: float
    scaling: LinearScaling | Llama3Scaling | None = None

    def frequencies(self, head_dim: int) -> np.ndarray:
        """Radians a position of each pair, float64 [head_dim / 2]."""
        plain = self.theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
        return plain if self.scaling is None else self.scaling.scaled(plain)


def rotations(
    positions: jax.Array, rotary: Rotary, *, head_dim: int, max_positions: int
) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of each position's angles, each [..., head_dim / 2] float32.

    `positions` int32 [...], below `max_positions`. The angle is looked up in two parts, a multiple of `step` and the
    rest, and added by the sum formulas: one table of every position would be megabytes of constants in the program.
    """
    step, coarse, fine = rotation_tables(rotary, head_dim, max_positions)
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
def rotation_tables(rotary: Rotary, head_dim: int, positions: int) -> tuple[int, np.ndarray, np.ndarray]:
    """A power of two `step`; cosines beside sines at its multiples up to `positions`, and at 0 to `step` - 1.

    Tables are [rows, head_dim], computed on the host in float64 and rounded to float32 once.
    """
    step = 1 << math.ceil(math.log2(positions) / 2)
    frequencies = rotary.frequencies(head_dim)

    def table(places: np.ndarray) -> np.ndarray:
        angles = places[:, None] * frequencies
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)

    return step, table(np.arange(-(-positions // step)) * step), table(np.arange(step))


def matrices(cosine: jax.Array, sine: jax.Array, dtype: jnp.dtype, scale: float = 1.0) -> jax.Array:
    """What a head is multiplied with, [..., head_dim, head_dim] `dtype`, of cosines and sines [..., head_dim / 2].

    All is times `scale`: with head_dim ** -0.25 for queries and keys both, their products are scaled scores, and no
    more is rounded than without.
    """
    half = cosine.shape[-1]
    same = np.eye(2 * half, dtype=np.float32) * scale
    # Row: what goes in; column: what comes out. The first half gets minus the second times its sine.
    turned = np.roll(same, half, axis=1) * np.repeat([-1.0, 1.0], half).astype(np.float32)
    cosine, sine = (jnp.concatenate([part, part], axis=-1)[..., None, :] for part in (cosine, sine))
    made: jax.Array = (same * cosine + turned * sine).astype(dtype)
    return made


def rotated(x: jax.Array, matrices: jax.Array) -> jax.Array:
    """Heads `x` [..., heads, head_dim] turned by `matrices` [..., head_dim, head_dim] of their positions."""
    return einsum("...hd,...de->...he", x, matrices)
