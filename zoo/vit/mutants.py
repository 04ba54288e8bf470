"""Known mutants of ViT, each of which its golden or the contract must catch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from zoo.authoring.mutants import (
    Mutant,
    Mutants,
    changed,
    epsilon_of,
    heads_mixed,
    lying,
    meaning,
    moved,
    registered,
    swapped,
)
from zoo.layers import encoder, patches
from zoo.layers.encoder import attention
from zoo.layers.patches import patches_of
from zoo.vit import model as vit
from zoo.vit.model import BASE, TINY

if TYPE_CHECKING:
    from collections.abc import Callable


def wrong(**names: Any) -> Mutant:
    """Names of the model's modules that mean something else."""
    return meaning((vit, encoder, patches), **names)


def config(**fields: Any) -> Mutant:
    """Other settings."""
    return Mutant(config=lambda right: replace(right, **fields))


def images(change: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    """Images [batch, height, width, channels] prepared in another way."""
    return Mutant(inputs=lambda right: {"pixel_values": np.ascontiguousarray(change(right["pixel_values"]))})


def without_bias(module: str) -> Mutant:
    """A bias left out."""
    return changed(f"{module}/bias", np.zeros_like)


class LayerWithPostNorm(encoder.PreNormLayer):
    """Normalisation of the sums, as in BERT."""

    __call__ = encoder.Layer.__call__


def unscaled(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array | None) -> jax.Array:
    """Scores as the products are."""
    return attention(query * query.shape[-1] ** 0.5, key, value, bias)


def causal(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array | None) -> jax.Array:
    """Attention to earlier patches only."""
    later = np.triu(np.full((query.shape[2],) * 2, -1e9, np.float32), 1)
    return attention(query, key, value, jnp.asarray(later))


def by_columns(x: jax.Array, size: int) -> jax.Array:
    """Patches column by column."""
    return patches_of(x.swapaxes(1, 2), size)


def as_rows(x: jax.Array, size: int) -> jax.Array:
    """As many numbers in a row as they lie in memory, without cutting."""
    return x.reshape(x.shape[0], -1, size * size * x.shape[-1])


def channels_first(kernel: np.ndarray) -> np.ndarray:
    """The numbers of a patch as PyTorch has them."""
    side, channels = TINY.patch_size, TINY.num_channels
    return kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


NORMS = (
    *(f"layer_{index}/{norm}" for index in range(TINY.num_hidden_layers) for norm in ("attention_norm", "norm")),
    "norm",
)

BY_NAME: dict[str, Mutant] = {
    "tanh GELU for erf GELU": wrong(gelu=nn.gelu),
    "ReLU for GELU": wrong(gelu=nn.relu),
    "LayerNorm eps 1e-5 (PyTorch's default)": config(layer_norm_eps=1e-5),
    "LayerNorm eps 1e-6 (the paper's code)": config(layer_norm_eps=1e-6),
    "post-norm for pre-norm": meaning((encoder,), PreNormLayer=LayerWithPostNorm),
    "positions from 1": changed("patches/position", moved(-1)),
    "class token missing": changed("patches/class", np.zeros_like),
    "class token's position missing": changed(
        "patches/position", lambda table: table * (np.arange(len(table)) > 0)[:, None]
    ),
    "patches column by column": wrong(patches_of=by_columns),
    "patches not cut": wrong(patches_of=as_rows),
    "patches with channels first": changed("patches/kernel", channels_first),
    "patches' bias missing": without_bias("patches"),
    "images upside down": images(lambda x: x[:, ::-1]),
    "blue for red": images(lambda x: x[..., ::-1]),
    "causal attention": wrong(attention=causal),
    "scores not scaled": wrong(attention=unscaled),
    "query heads swapped": changed("query/kernel", moved(1, axis=1)),
    "value heads mixed with their sizes": changed("value/kernel", heads_mixed),
    "query and key swapped": swapped("query", "key"),
    "two LayerNorms of a layer swapped": swapped("attention_norm", "norm"),
    "layers swapped": swapped("layer_0", "layer_1"),
    "last layer left out": config(num_hidden_layers=TINY.num_hidden_layers - 1),
    "query bias missing": without_bias("query"),
    "value bias missing": without_bias("value"),
    "attention output bias missing": without_bias("/attention"),
    "MLP up bias missing": without_bias("up"),
    "MLP down bias missing": without_bias("down"),
    "last LayerNorm's bias missing": without_bias("params/norm"),
    "last LayerNorm's scale missing": changed("params/norm/scale", np.ones_like),
    "classifier's bias missing": without_bias("classifier"),
    **{f"eps 1e-6 in {norm} alone": epsilon_of(norm, 1e-6) for norm in NORMS},
    "registered with 6 heads of 128": registered(BASE.name, num_attention_heads=6, head_dim=128),
    "registered with 11 layers": registered(BASE.name, num_hidden_layers=11),
    "registered with patches of 32": registered(BASE.name, patch_size=32),
    "registered with images of 384": registered(BASE.name, image_size=384),
    "images on every chip": lying("input_specs", "pixel_values", P()),
    "query bias on every chip": lying("param_specs", "query/bias", P()),
    "MLP up bias on every chip": lying("param_specs", "up/bias", P()),
}
"""By what is wrong. The bias of keys is not here: softmax takes it out of every output."""

WITHIN_HW_BOUNDS = {
    "tanh GELU for erf GELU",
    "ReLU for GELU",
    "MLP up bias missing",
    *(name for name in BY_NAME if " eps " in f" {name}"),
}

MUTANTS = Mutants(case="tiny", by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
