"""Known mutants of DistilBERT, each of which its golden must catch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from pytest_tt.compare import flatten
from zoo.authoring.mutants import (
    Mutant,
    Mutants,
    changed,
    epsilon_of,
    heads_mixed,
    lying,
    meaning,
    moved,
    other_table,
    registered,
    swapped,
)
from zoo.distilbert import model as distilbert
from zoo.distilbert.model import BASE, TINY
from zoo.distilbert.params import synthetic_params
from zoo.layers import encoder
from zoo.layers.encoder import attention, attention_bias, gelu
from zoo.layers.masks import MASKED

CASE = "tiny"


def wrong(**names: Any) -> Mutant:
    """Names of the model's modules that mean something else."""
    return meaning((distilbert, encoder), **names)


def config(**fields: Any) -> Mutant:
    """Other settings."""
    return Mutant(config=lambda right: replace(right, **fields))


def without_bias(module: str) -> Mutant:
    """A bias left out."""
    return changed(f"{module}/bias", np.zeros_like)


def sinusoids(table: np.ndarray) -> np.ndarray:
    """The table of a config that says `sinusoidal_pos_embds`."""
    places, units = np.indices(table.shape)
    angles = places / 10000.0 ** (2 * (units // 2) / table.shape[1])
    return np.asarray(np.where(units % 2, np.cos(angles), np.sin(angles)), table.dtype)


def unscaled(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array) -> jax.Array:
    """Scores as the products are."""
    return attention(query * query.shape[-1] ** 0.5, key, value, bias)


def head_without_gelu(x: jax.Array) -> jax.Array:
    """Nothing where the width is that of the head, not that of the MLP."""
    return x if x.shape[-1] == TINY.hidden_size else gelu(x)


def causal(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array) -> jax.Array:
    """Attention to earlier tokens only."""
    later = np.triu(np.full((query.shape[2],) * 2, MASKED, np.float32), 1)
    return attention(query, key, value, bias + later)


def ignore_mask(mask: jax.Array) -> jax.Array:
    """Padding is attended to."""
    return attention_bias(jnp.ones_like(mask))


NORMS = (
    "norm",
    *(f"layer_{index}/{norm}" for index in range(TINY.num_hidden_layers) for norm in ("attention_norm", "norm")),
    "transform_norm",
)

WIDE_HEADS = replace(BASE, num_attention_heads=6, head_dim=128)
"""The published size with as many units in other heads: its checkpoint loads all the same."""

BY_NAME: dict[str, Mutant] = {
    "tanh GELU for erf GELU": wrong(gelu=nn.gelu),
    "ReLU for GELU": wrong(gelu=nn.relu),
    "LayerNorm eps 1e-5 (PyTorch's default)": config(layer_norm_eps=1e-5),
    "LayerNorm eps 1e-6 (Flax's default)": config(layer_norm_eps=1e-6),
    "pre-norm for post-norm": wrong(Layer=encoder.PreNormLayer),
    "positions from 1": changed("params/position", moved(-1)),
    "positions from 2 (RoBERTa)": changed("params/position", moved(-2)),
    "sinusoids for learned positions": changed("params/position", sinusoids),
    "mask ignored": wrong(attention_bias=ignore_mask),
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
    "LayerNorm bias missing": without_bias("attention_norm"),
    "LayerNorm scale missing": changed("attention_norm/scale", np.ones_like),
    "embeddings' LayerNorm bias missing": without_bias("params/norm"),
    "head without GELU": wrong(gelu=head_without_gelu),
    "head's transform bias missing": without_bias("transform"),
    "head's LayerNorm bias missing": without_bias("transform_norm"),
    "head's bias missing": without_bias("decoder"),
    "head's rows moved by one": other_table("decoder", partial(jnp.roll, shift=1, axis=0)),
    **{f"eps {value:.0e} in {norm} alone": epsilon_of(norm, value) for norm in NORMS for value in (1e-5, 1e-6)},
    "what is masked has a score of -30": replace(wrong(MASKED=-30.0), case="scores"),
    "6 heads of 128": Mutant(
        config=lambda right: WIDE_HEADS, params=lambda leaves: flatten(synthetic_params(WIDE_HEADS)), case="base"
    ),
    "registered with 6 heads of 128": registered("distilbert-base-uncased", num_attention_heads=6, head_dim=128),
    "registered with 5 layers": registered("distilbert-base-uncased", num_hidden_layers=5),
    "registered with 514 positions": registered("distilbert-base-uncased", max_position_embeddings=514),
    "sentences on every chip": lying("input_specs", "input_ids", P()),
    "logits on every chip of a row": lying("output_specs", "logits", P("batch", None, None)),
    "query bias on every chip": lying("param_specs", "query/bias", P()),
    "MLP up bias on every chip": lying("param_specs", "up/bias", P()),
    "table spread by units": lying("param_specs", "word/embedding", P(None, "model")),
    "table on every chip": lying("param_specs", "word/embedding", P()),
}
"""By what is wrong. The bias of keys is not here: softmax takes it out of every output."""

WITHIN_HW_BOUNDS = {"tanh GELU for erf GELU", "head without GELU", *(name for name in BY_NAME if " eps " in f" {name}")}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
