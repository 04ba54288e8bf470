"""Known mutants of BERT, each of which its golden must catch."""

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
from zoo.bert import model as bert
from zoo.bert.model import LARGE, MINILM, TINY, BertConfig, sum_of_tokens
from zoo.bert.params import synthetic_params
from zoo.bert.reference import one_layer
from zoo.layers import encoder
from zoo.layers.encoder import attention, attention_bias, layer_norm
from zoo.layers.masks import MASKED

CASE = "tiny"


def wrong(**names: Any) -> Mutant:
    """Names of the model's modules that mean something else."""
    return meaning((bert, encoder), **names)


def eps(value: float) -> Mutant:
    """Another epsilon in the normalisations."""
    return Mutant(config=lambda config: replace(config, layer_norm_eps=value))


def without_bias(module: str) -> Mutant:
    """A bias left out."""
    return changed(f"{module}/bias", np.zeros_like)


def scaled_by(exponent: float) -> Mutant:
    """Scores multiplied by head_dim ** `exponent`, where -0.5 is right."""

    def scaled(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array) -> jax.Array:
        return attention(query * query.shape[-1] ** (exponent + 0.5), key, value, bias)

    return wrong(attention=scaled)


def causal(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array) -> jax.Array:
    """Attention to earlier tokens only."""
    later = np.triu(np.full((query.shape[2],) * 2, MASKED, np.float32), 1)
    return attention(query, key, value, bias + later)


def unbiased_norm(config: BertConfig, name: str) -> Any:
    """Normalisation by the standard deviation of a sample (n - 1), as torch.std gives it."""
    norm = layer_norm(config, name)

    def run(x: jax.Array) -> jax.Array:
        shrink = ((config.hidden_size - 1) / config.hidden_size) ** 0.5
        bias = norm(jnp.zeros_like(x))  # all that is left of zeros
        result: jax.Array = (norm(x) - bias) * shrink + bias
        return result

    return run


def ignore_mask(mask: jax.Array) -> jax.Array:
    """Padding is attended to."""
    return attention_bias(jnp.ones_like(mask))


def sum_of_everything(hidden: jax.Array, mask: jax.Array) -> jax.Array:
    """The sum over padding too."""
    return sum_of_tokens(hidden, jnp.ones_like(mask))


NORMS = (
    "norm",
    *(f"layer_{index}/{norm}" for index in range(TINY.num_hidden_layers) for norm in ("attention_norm", "norm")),
    "transform_norm",
)


def other_heads(published: BertConfig, heads: int, size: int, case: str) -> Mutant:
    """A published size with as many units in other heads: its checkpoint loads all the same."""
    config = replace(one_layer(published), num_attention_heads=heads, head_dim=size)
    return Mutant(config=lambda right: config, params=lambda leaves: flatten(synthetic_params(config)), case=case)


BY_NAME: dict[str, Mutant] = {
    "tanh GELU for erf GELU": wrong(gelu=nn.gelu),
    "ReLU for GELU": wrong(gelu=nn.relu),
    "LayerNorm eps 1e-5 (PyTorch's default)": eps(1e-5),
    "LayerNorm eps 1e-6 (Flax's default)": eps(1e-6),
    "LayerNorm by the sample's deviation": wrong(layer_norm=unbiased_norm),
    "pre-norm for post-norm": wrong(Layer=encoder.PreNormLayer),
    "token types ignored": Mutant(inputs=lambda x: {**x, "token_type_ids": np.zeros_like(x["token_type_ids"])}),
    "token types not added": changed("type/embedding", np.zeros_like),
    "positions from 1": changed("params/position", moved(-1)),
    "positions from 2 (RoBERTa)": changed("params/position", moved(-2)),
    "mask ignored in attention": wrong(attention_bias=ignore_mask),
    "causal attention": wrong(attention=causal),
    "scores not scaled": scaled_by(0.0),
    "scores scaled by 1/head_dim": scaled_by(-1.0),
    "query heads swapped": changed("query/kernel", moved(1, axis=1)),
    "value heads mixed with their sizes": changed("value/kernel", heads_mixed),
    "layers swapped": swapped("layer_0", "layer_1"),
    "query bias missing": without_bias("query"),
    "value bias missing": without_bias("value"),
    "attention output bias missing": without_bias("attention"),
    "MLP up bias missing": without_bias("up"),
    "MLP down bias missing": without_bias("down"),
    "LayerNorm bias missing": without_bias("attention_norm"),
    "LayerNorm scale missing": changed("attention_norm/scale", np.ones_like),
    "embeddings' LayerNorm bias missing": without_bias("params/norm"),
    "pooler bias missing": without_bias("pooler"),
    "pooler without tanh": wrong(tanh=lambda x: x),
    "pooler of the last token": wrong(first_token=lambda hidden: hidden[:, -1]),
    "sentence mean over padding": wrong(sum_of_tokens=sum_of_everything),
    "sentence of [CLS]": wrong(sum_of_tokens=lambda hidden, mask: hidden[:, 0]),
    "sentence not normalised": wrong(normalised=lambda x: x),
    "MLM transform bias missing": without_bias("transform"),
    "MLM LayerNorm bias missing": without_bias("transform_norm"),
    "MLM decoder bias missing": without_bias("decoder"),
    "MLM decoder rows moved by one": other_table("decoder", partial(jnp.roll, shift=1, axis=0)),
    **{f"eps {value:.0e} in {norm} alone": epsilon_of(norm, value) for norm in NORMS for value in (1e-5, 1e-6)},
    "what is masked has a score of -30": replace(wrong(MASKED=-30.0), case="scores"),
    "8 heads of 128 in BERT-large": other_heads(LARGE, 8, 128, "large-1-layer"),
    "eps 1e-6 in BERT-large": replace(eps(1e-6), case="large-1-layer"),
    "6 heads of 64 in MiniLM": other_heads(MINILM, 6, 64, "minilm-1-layer"),
    "BERT-large registered with 23 layers": registered("bert-large-uncased", num_hidden_layers=23),
    "BERT-large registered with eps 1e-5": registered("bert-large-uncased", layer_norm_eps=1e-5),
    "BERT-base registered with one token type": registered("bert-base-uncased", type_vocab_size=1),
    "MiniLM registered with a head": registered("all-MiniLM-L6-v2", masked_lm=True),
    "sentences on every chip": lying("input_specs", "input_ids", P()),
    "hidden states over model": lying("output_specs", "hidden", P("batch", None, "model")),
    "logits on every chip of a row": lying("output_specs", "logits", P("batch", None, None)),
    "query bias on every chip": lying("param_specs", "query/bias", P()),
    "MLP up bias on every chip": lying("param_specs", "up/bias", P()),
    "table on every chip": lying("param_specs", "word/embedding", P()),
    "attention output kernel spread by outputs": lying("param_specs", "attention/kernel", P(None, None, "model")),
}
"""By what is wrong. The bias of keys is not here: softmax takes it out of every output."""

BY_NAME |= {
    f"{name}, trained weights": replace(BY_NAME[name], case="minilm")
    for name in (
        "tanh GELU for erf GELU",
        "LayerNorm eps 1e-5 (PyTorch's default)",
        "LayerNorm eps 1e-6 (Flax's default)",
        "token types ignored",
        "positions from 1",
        "mask ignored in attention",
        "pooler without tanh",
        "sentence mean over padding",
    )
}
"""The trained weights of all-MiniLM-L6-v2 might hide these; its own sentences are there for them."""

WITHIN_HW_BOUNDS = {
    "tanh GELU for erf GELU",
    "LayerNorm by the sample's deviation",
    *(f"{name}, trained weights" for name in ("tanh GELU for erf GELU", "token types ignored", "pooler without tanh")),
    *(name for name in BY_NAME if " eps " in f" {name}" and "registered" not in name),
}

MUTANTS = Mutants(case=CASE, by_name=BY_NAME, within_hw_bounds=WITHIN_HW_BOUNDS)
