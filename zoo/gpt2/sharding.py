"""Where everything lies: rows over the axis ``batch``, heads, the MLP's width and the logits over the axis ``model``.

As in Megatron-LM (Shoeybi et al., 2019, section 3): q, k, v and the first MLP layer are column-parallel, the layers
behind them row-parallel, so a block needs two all-reduces. The token embedding, which is the head too, is spread by
vocabulary and needs one (`zoo.text.embedding`); positions and norms lie whole on every chip. What does not divide by
the chips is padded with zeros, exactly: a head of zeros gives zeros, which zero rows of the layer behind ignore, and
gelu(0) is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.sharding import PartitionSpec as P

from pytest_tt.compare import flatten
from zoo.checkpoints.weights import nested
from zoo.gpt2.model import MASKED
from zoo.text.embedding import first_rows, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.gpt2.model import GPT2Config

ROWS = P("batch", None)
LOGITS = P("batch", None, "model")
NEXT_LOGITS = P("batch", "model")
CACHE = P("batch", "model", None, None)


def fit(config: GPT2Config, mesh: Mesh) -> GPT2Config:
    """The config with heads, the MLP's width and vocabulary rounded up to what the axis ``model`` divides."""
    chips: int = mesh.shape["model"]

    def padded(count: int) -> int:
        return -(-count // chips) * chips

    return replace(
        config,
        num_attention_heads=padded(config.num_attention_heads),
        intermediate_size=padded(config.intermediate_size),
        vocab_padding=padded(config.vocab_size) - config.vocab_size,
        mesh=shape_of(mesh),
    )


def prepare(config: GPT2Config, params: Mapping[str, Any], mesh: Mesh) -> dict[str, Any]:
    """`params` of `config` with the zeros that ``fit(config, mesh)`` asks for; leaf by leaf, all may be missing."""
    fitted = fit(config, mesh)
    grown = {
        "heads": (fitted.num_attention_heads - config.num_attention_heads) * config.head_dim,
        "intermediate": fitted.intermediate_size - config.intermediate_size,
        "vocab": fitted.vocab_padding,
    }

    def pad(name: str, leaf: np.ndarray) -> np.ndarray:
        if name.endswith("/first_row"):
            return first_rows(fitted.padded_vocab_size, mesh.shape["model"])
        axis, what = _spread(name)
        if what is None or not grown[what]:
            return leaf
        room = [(0, grown[what] if dimension == axis else 0) for dimension in range(leaf.ndim)]
        return np.pad(leaf, room, constant_values=MASKED if name == "params/lm_head/bias" else 0.0)

    return nested({name: pad(name, np.asarray(leaf)) for name, leaf in flatten(params).items()})


def param_specs(config: GPT2Config, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``GPT2(config)``."""
    norm = {"scale": P(), "bias": P()}
    column = {"kernel": P(None, "model"), "bias": P("model")}
    row = {"kernel": P("model", None), "bias": P()}
    block = {
        "ln_1": norm,
        "attn": {"q": column, "k": column, "v": column, "out": row},
        "ln_2": norm,
        "fc": column,
        "proj": row,
    }
    layers = {f"h_{index}": block for index in range(config.num_hidden_layers)}
    return {
        "params": {
            "wte": {"embedding": P("model", None), "first_row": P("model")},
            "wpe": {"embedding": P()},
            **layers,
            "ln_f": norm,
            "lm_head": {"bias": P("model")},
        }
    }


def input_specs(config: GPT2Config, mesh: Mesh) -> dict[str, P]:
    """Rows over ``batch``."""
    return dict.fromkeys(("input_ids", "attention_mask", "position_ids"), ROWS)


def output_specs(config: GPT2Config, mesh: Mesh) -> dict[str, P]:
    """Rows over ``batch``, the vocabulary over ``model``."""
    return {"logits": LOGITS}


def cache_specs(config: GPT2Config) -> tuple[tuple[P, P], ...]:
    """PartitionSpecs of the key-value cache."""
    return ((CACHE, CACHE),) * config.num_hidden_layers


def collectives(config: GPT2Config, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces of one forward pass, prefill or step: two a layer, one for the embedding."""
    return {"all-reduce": 2 * config.num_hidden_layers + 1} if mesh.shape["model"] > 1 else {}


def _spread(name: str) -> tuple[int, str | None]:
    """The dimension of a parameter that lies over the axis ``model``, and what it counts."""
    *_, layer, leaf = name.split("/")
    if layer in ("q", "k", "v"):
        return int(leaf == "kernel"), "heads"
    if layer == "fc":
        return int(leaf == "kernel"), "intermediate"
    if layer in ("wte", "lm_head"):
        return 0, "vocab"
    if leaf == "kernel" and layer in ("out", "proj"):
        return 0, "heads" if layer == "out" else "intermediate"
    return 0, None
