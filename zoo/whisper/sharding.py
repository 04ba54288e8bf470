"""Where everything lies: rows over ``batch``, heads, the MLP's width and the vocabulary over ``model``.

As in Megatron-LM (Shoeybi et al., 2019, section 3): q, k, v and the first layer of the MLP are column-parallel, what is
behind them row-parallel, so that each attention and each MLP needs one all-reduce. Words, which are the head too, are
spread by vocabulary (`zoo.text.embedding`). The two convolutions, positions and norms are whole on every chip. What
does not divide by the chips is padded with zeros, exactly: a head of zeros gives zeros, and gelu(0) is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jax.sharding import PartitionSpec as P

from zoo.checkpoints.padding import Growth, growing
from zoo.checkpoints.padding import fit as fit
from zoo.text.embedding import first_rows
from zoo.text.encoder_decoder import EncoderDecoder
from zoo.whisper.model import Whisper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.registry import Prepare
    from zoo.whisper.model import WhisperConfig

ROWS = P("batch", None)
PART = P("batch", "model", None, None)
"""Of keys and values, [batch, heads, tokens, head_dim]."""


def prepare(config: WhisperConfig, mesh: Mesh) -> Prepare:
    """The function that gives a parameter of `config` the zeros that ``fit(config, mesh)`` asks for."""
    fitted = fit(config, mesh)
    heads, inner = fitted.num_attention_heads * config.head_dim, fitted.intermediate_size
    growths = {
        **{f"{name}/kernel": Growth(1, heads) for name in "qkv"},
        **{f"{name}/bias": Growth(0, heads) for name in "qv"},
        "o/kernel": Growth(0, heads),
        "up/kernel": Growth(1, inner),
        "up/bias": Growth(0, inner),
        "down/kernel": Growth(0, inner),
        "words/embedding": Growth(0, fitted.padded_vocab_size),
    }
    return growing(growths, {"words/first_row": first_rows(fitted.padded_vocab_size, mesh.shape["model"])})


def param_specs(config: WhisperConfig, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``Whisper(config)``."""
    whole = {"scale": P(), "bias": P()}
    columns, rows = {"kernel": P(None, "model"), "bias": P("model")}, {"kernel": P("model", None), "bias": P()}
    attention = {"q": columns, "k": {"kernel": P(None, "model")}, "v": columns, "o": rows}
    own = {"attention_norm": whole, "attention": attention}
    mlp = {"mlp_norm": whole, "mlp": {"up": columns, "down": rows}}
    decoder = {**own, "cross_norm": whole, "cross": attention, **mlp}
    convolution, table = {"kernel": P(), "bias": P()}, {"embedding": P()}
    return {
        "params": {
            "conv_1": convolution,
            "conv_2": convolution,
            "encoder_positions": table,
            **{f"encoder_{index}": {**own, **mlp} for index in range(config.num_hidden_layers)},
            "encoder_norm": whole,
            "words": {"embedding": P("model", None), "first_row": P("model")},
            "positions": table,
            **{f"decoder_{index}": decoder for index in range(config.num_decoder_layers)},
            "decoder_norm": whole,
        }
    }


def input_specs(config: WhisperConfig, mesh: Mesh) -> dict[str, P]:
    """Rows over ``batch``."""
    return {"input_features": P("batch", None, None), "decoder_input_ids": ROWS}


def output_specs(config: WhisperConfig, mesh: Mesh) -> dict[str, P]:
    """Rows over ``batch``, the vocabulary over ``model``."""
    return {"logits": P("batch", None, "model")}


def collectives(config: WhisperConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces of a forward pass: two a layer of the encoder, three a layer of the decoder, one for the words.

    Of generation, whose programs take other inputs: `encode` takes ``input_features`` alone, a step takes ``tokens``.
    """
    if mesh.shape["model"] == 1:
        return {}
    encoder = 2 * config.num_hidden_layers if "input_features" in inputs else 0
    decoder = 3 * config.num_decoder_layers + 1 if {"decoder_input_ids", "tokens"} & set(inputs) else 0
    return {"all-reduce": encoder + decoder}


def writer(
    config: WhisperConfig, mesh: Mesh, never: tuple[int, ...] = (), never_first: tuple[int, ...] = ()
) -> EncoderDecoder:
    """The model of `config` on `mesh`, as generation sees it: text begins with the token of its start.

    never, never_first: tokens that are not written, at all or as the first.
    """
    fitted = fit(config, mesh)
    pairs = ((PART, PART),) * config.num_decoder_layers
    return EncoderDecoder(
        module=Whisper(fitted),
        name=config.name,
        vocab_size=config.vocab_size,
        start=(min(50258, config.vocab_size - 2),),
        longest=config.max_position_embeddings,
        never=never,
        never_first=never_first,
        row_multiple=mesh.shape["batch"],
        params=param_specs(fitted, mesh),
        inputs={"input_features": P("batch", None, None)},
        logits=P("batch", "model"),
        memory=pairs,
        cache=pairs,
    )
