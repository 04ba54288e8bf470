"""Where everything lies: rows over ``batch``, heads, the MLP's width and the vocabulary over ``model``.

As in Megatron-LM (Shoeybi et al., 2019, section 3): q, k, v, gate and up are column-parallel, what is behind them
row-parallel, so that each attention and each MLP needs one all-reduce. Words are spread by vocabulary
(`zoo.text.embedding`), the head and the numbers that distances add to scores by columns: of tokens and of heads. What
does not divide by the chips is padded with zeros, exactly: a head of zeros gives zeros, and gelu(0) * 0 is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jax.sharding import PartitionSpec as P

from zoo.checkpoints.padding import Growth, growing
from zoo.checkpoints.padding import fit as fit
from zoo.t5.model import T5
from zoo.text.embedding import first_rows
from zoo.text.encoder_decoder import EncoderDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.registry import Prepare
    from zoo.t5.model import T5Config

ROWS = P("batch", None)
PART = P("batch", "model", None, None)
"""Of keys and values, [batch, heads, tokens, head_dim]."""


def prepare(config: T5Config, mesh: Mesh) -> Prepare:
    """The function that gives a parameter of `config` the zeros that ``fit(config, mesh)`` asks for."""
    fitted = fit(config, mesh)
    heads, inner, tokens = fitted.num_attention_heads, fitted.intermediate_size, fitted.padded_vocab_size
    growths = {
        **{f"{name}/kernel": Growth(1, heads * config.head_dim) for name in "qkv"},
        "o/kernel": Growth(0, heads * config.head_dim),
        "gate/kernel": Growth(1, inner),
        "up/kernel": Growth(1, inner),
        "down/kernel": Growth(0, inner),
        "encoder_bias/embedding": Growth(1, heads),
        "decoder_bias/embedding": Growth(1, heads),
        "shared/embedding": Growth(0, tokens),
        "lm_head/kernel": Growth(1, tokens),
    }
    return growing(growths, {"shared/first_row": first_rows(tokens, mesh.shape["model"])})


def param_specs(config: T5Config, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``T5(config)``."""
    whole, columns, rows = {"scale": P()}, {"kernel": P(None, "model")}, {"kernel": P("model", None)}
    attention = {"q": columns, "k": columns, "v": columns, "o": rows}
    own = {"attention_norm": whole, "attention": attention}
    mlp = {"mlp_norm": whole, "mlp": {"gate": columns, "up": columns, "down": rows}}
    decoder = {**own, "cross_norm": whole, "cross": attention, **mlp}
    distances = {"embedding": P(None, "model")}
    return {
        "params": {
            "shared": {"embedding": P("model", None), "first_row": P("model")},
            "encoder_bias": distances,
            "decoder_bias": distances,
            **{f"encoder_{index}": {**own, **mlp} for index in range(config.num_hidden_layers)},
            **{f"decoder_{index}": decoder for index in range(config.num_decoder_layers)},
            "encoder_norm": whole,
            "decoder_norm": whole,
            "lm_head": columns,
        }
    }


def input_specs(config: T5Config, mesh: Mesh) -> dict[str, P]:
    """Rows over ``batch``."""
    return dict.fromkeys(("input_ids", "attention_mask", "decoder_input_ids"), ROWS)


def output_specs(config: T5Config, mesh: Mesh) -> dict[str, P]:
    """Rows over ``batch``, the vocabulary over ``model``."""
    return {"logits": P("batch", None, "model")}


def collectives(config: T5Config, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces of a forward pass: two a layer of the encoder, three a layer of the decoder, one for the words.

    Of generation, whose programs take other inputs: `encode` takes no ``decoder_input_ids``, a step takes ``tokens``.
    """
    if mesh.shape["model"] == 1:
        return {}
    encoder = 2 * config.num_hidden_layers if "input_ids" in inputs else 0
    decoder = 3 * config.num_decoder_layers if {"decoder_input_ids", "tokens"} & set(inputs) else 0
    return {"all-reduce": encoder + decoder + 1}


def writer(config: T5Config, mesh: Mesh) -> EncoderDecoder:
    """The model of `config` on `mesh`, as generation sees it."""
    fitted = fit(config, mesh)
    pairs = ((PART, PART),) * config.num_decoder_layers
    return EncoderDecoder(
        module=T5(fitted),
        name=config.name,
        vocab_size=config.vocab_size,
        start=(0,),
        row_multiple=mesh.shape["batch"],
        params=param_specs(fitted, mesh),
        inputs={"input_ids": ROWS, "attention_mask": ROWS},
        logits=P("batch", "model"),
        memory=(ROWS, pairs),
        cache=pairs,
    )
