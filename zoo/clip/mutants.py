"""Known mutants of CLIP, each of which its golden or the contract must catch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
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
from zoo.clip import model as clip
from zoo.clip.model import BASE, TINY
from zoo.layers import encoder

if TYPE_CHECKING:
    from collections.abc import Callable


def wrong(**names: Any) -> Mutant:
    """Names of the model's modules that mean something else."""
    return meaning((clip, encoder), **names)


def tower(name: str, **fields: Any) -> Mutant:
    """Other settings of one tower."""
    return Mutant(config=lambda right: replace(right, **{name: replace(getattr(right, name), **fields)}))


def images(change: Callable[[np.ndarray], np.ndarray]) -> Mutant:
    """Images [batch, height, width, channels] prepared in another way."""
    return Mutant(inputs=lambda right: {**right, "pixel_values": np.ascontiguousarray(change(right["pixel_values"]))})


def without_bias(module: str) -> Mutant:
    """A bias left out."""
    return changed(f"{module}/bias", np.zeros_like)


def both_ways(mask: jax.Array) -> jax.Array:
    """Attention to later tokens, too."""
    return encoder.attention_bias(mask)


def at_last(ids: jax.Array, token: int, hidden: jax.Array) -> jax.Array:
    """The last token, whatever it is."""
    return hidden[:, -1]


def at_start(ids: jax.Array, token: int, hidden: jax.Array) -> jax.Array:
    """The first token, as in BERT."""
    return hidden[:, 0]


def at_every(ids: jax.Array, token: int, hidden: jax.Array) -> jax.Array:
    """The mean over the tokens of the end."""
    ends = (ids == token).astype(hidden.dtype)
    return jnp.einsum("bt,bth->bh", ends / ends.sum(axis=1, keepdims=True), hidden)


NORMS = ("text/layer_0/norm", "text/norm", "vision/first_norm", "vision/norm")

BY_NAME: dict[str, Mutant] = {
    "erf GELU for quick GELU": wrong(quick_gelu=encoder.gelu),
    "LayerNorm eps 1e-6 (Flax's default) in texts": tower("text", layer_norm_eps=1e-6),
    "LayerNorm eps 1e-12 (ViT's) in images": tower("vision", layer_norm_eps=1e-12),
    "texts see later tokens": wrong(text_bias=both_ways),
    "texts are pooled at the last token": wrong(at_first=at_last),
    "texts are pooled at the first token": wrong(at_first=at_start),
    "texts are pooled at all of their ends": wrong(at_first=at_every),
    "vectors are not of length 1": wrong(normalised=lambda x: x),
    "scale is not raised to a power of e": changed("logit_scale", np.log),
    "scale is that of training's begin": changed("logit_scale", lambda leaf: np.full_like(leaf, 2.6592)),
    "positions of texts from 1": changed("text/position", moved(-1)),
    "positions of images from 1": changed("patches/position", moved(-1)),
    "class token missing": changed("patches/class", np.zeros_like),
    "blue for red": images(lambda x: x[..., ::-1]),
    "first norm of images missing": changed("vision/first_norm/scale", np.ones_like),
    "last norm of images missing its bias": without_bias("vision/norm"),
    "last norm of texts missing its bias": without_bias("text/norm"),
    "query heads swapped": changed("query/kernel", moved(1, axis=1)),
    "value heads mixed with their sizes": changed("value/kernel", heads_mixed),
    "query and key swapped": swapped("query", "key"),
    "two LayerNorms of a layer swapped": swapped("attention_norm", "norm"),
    "layers swapped": swapped("layer_0", "layer_1"),
    "last layer of texts left out": tower("text", num_hidden_layers=TINY.text.num_hidden_layers - 1),
    "attention output bias missing": without_bias("/attention"),
    "MLP up bias missing": without_bias("up"),
    "MLP down bias missing": without_bias("down"),
    **{f"eps 1e-6 in {norm} alone": epsilon_of(norm, 1e-6) for norm in NORMS},
    "registered with patches of 16": registered(BASE.name, patch_size=16),
    "registered with 4 heads of 128": registered(
        BASE.name, text=replace(BASE.text, num_attention_heads=4, head_dim=128)
    ),
    "images on every chip": lying("input_specs", "pixel_values", P()),
    "table of words on every chip": lying("param_specs", "word/embedding", P()),
    "MLP up bias on every chip": lying("param_specs", "up/bias", P()),
}
"""By what is wrong. The bias of keys is not here: softmax takes it out of every output."""

WITHIN_HW_BOUNDS = {"erf GELU for quick GELU", *(name for name in BY_NAME if " eps " in f" {name}")}

MUTANTS = Mutants(case="tiny", by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
