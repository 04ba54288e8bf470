"""Where everything lies: rows over the axis ``batch``, heads, the MLP's width and the logits over the axis ``model``.

As in Megatron-LM (Shoeybi et al., 2019, section 3): q, k, v and the first MLP layer are column-parallel, the layers
behind them row-parallel, so a block needs two all-reduces. The token embedding, which is the head too, is spread by
vocabulary and needs one (`zoo.text.embedding`); positions and norms lie whole on every chip. What does not divide by
the chips is padded with zeros, exactly: a head of zeros gives zeros, which zero rows of the layer behind ignore, and
gelu(0) is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jax.sharding import PartitionSpec as P

from zoo.checkpoints.padding import Growth, growing
from zoo.checkpoints.padding import fit as fit
from zoo.gpt2.model import GPT2
from zoo.layers.masks import MASKED
from zoo.text.embedding import first_rows
from zoo.text.generation import Decoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.gpt2.model import GPT2Config
    from zoo.registry import Prepare

ROWS = P("batch", None)
LOGITS = P("batch", None, "model")
NEXT_LOGITS = P("batch", "model")
CACHE = P("batch", "model", None, None)


def prepare(config: GPT2Config, mesh: Mesh) -> Prepare:
    """The function that gives a parameter of `config` the zeros that ``fit(config, mesh)`` asks for."""
    fitted = fit(config, mesh)
    heads, inner = fitted.num_attention_heads * config.head_dim, fitted.intermediate_size
    tokens = fitted.padded_vocab_size
    growths = {
        **{f"{name}/kernel": Growth(1, heads) for name in ("q", "k", "v")},
        **{f"{name}/bias": Growth(0, heads) for name in ("q", "k", "v")},
        "out/kernel": Growth(0, heads),
        "fc/kernel": Growth(1, inner),
        "fc/bias": Growth(0, inner),
        "proj/kernel": Growth(0, inner),
        "wte/embedding": Growth(0, tokens),
        "lm_head/bias": Growth(0, tokens, MASKED),
    }
    return growing(growths, {"wte/first_row": first_rows(tokens, mesh.shape["model"])})


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


def decoder(config: GPT2Config, mesh: Mesh) -> Decoder:
    """The model of `config` on `mesh`, as generation sees it."""
    return Decoder(
        module=GPT2(fit(config, mesh)),
        name=config.name,
        vocab_size=config.vocab_size,
        max_position_embeddings=config.max_position_embeddings,
        row_multiple=mesh.shape["batch"],
        params=param_specs(config, mesh),
        rows=ROWS,
        logits=NEXT_LOGITS,
        cache=cache_specs(config),
    )
