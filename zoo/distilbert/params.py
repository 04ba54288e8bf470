"""Parameters of DistilBERT: what each tensor of a checkpoint becomes, and made-up ones under the same names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.hub import Source
from zoo.checkpoints.key_map import counts_up
from zoo.checkpoints.layouts import bias_to_heads, first_row, from_heads, to_heads, transposed
from zoo.checkpoints.loading import KeyMap, Rule, Target, Unused, convert_tensors
from zoo.checkpoints.synthetic import uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from zoo.distilbert.model import DistilBertConfig

SOURCES = {
    "distilbert-base-uncased": Source("distilbert/distilbert-base-uncased", "12040accade4e8a0f71eabdb258fecc2e7e948be"),
}

_ENCODER = r"(?:distilbert\.)?"
_LAYER = _ENCODER + r"transformer\.layer\.(\d+)\."


def _dense(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(rf"{source}\.weight", f"params/{target}/kernel", transposed),
        Rule(rf"{source}\.bias", f"params/{target}/bias"),
    )


def _norm(source: str, target: str) -> tuple[Rule, Rule]:
    return Rule(rf"{source}\.weight", f"params/{target}/scale"), Rule(rf"{source}\.bias", f"params/{target}/bias")


def _query_key_or_value(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(rf"{_LAYER}attention\.{source}\.weight", f"params/layer_{{0}}/{target}/kernel", to_heads),
        Rule(rf"{_LAYER}attention\.{source}\.bias", f"params/layer_{{0}}/{target}/bias", bias_to_heads),
    )


_WORDS = (("params/word/embedding", None), ("params/word/first_row", first_row))

KEY_MAP = KeyMap(
    rules=(
        Rule(
            _ENCODER + r"embeddings\.word_embeddings\.weight",
            tuple(Target(path, convert) for path, convert in _WORDS),
        ),
        # The head is tied to them: stored beside them, it must be the same; stored alone, it stands for both.
        Rule(r"vocab_projector\.weight", tuple(Target(path, convert, fallback=True) for path, convert in _WORDS)),
        Rule(_ENCODER + r"embeddings\.position_embeddings\.weight", "params/position"),
        *_norm(_ENCODER + r"embeddings\.LayerNorm", "norm"),
        *_query_key_or_value("q_lin", "query"),
        *_query_key_or_value("k_lin", "key"),
        *_query_key_or_value("v_lin", "value"),
        Rule(_LAYER + r"attention\.out_lin\.weight", "params/layer_{0}/attention/kernel", from_heads),
        Rule(_LAYER + r"attention\.out_lin\.bias", "params/layer_{0}/attention/bias"),
        *_norm(_LAYER + r"sa_layer_norm", "layer_{0}/attention_norm"),
        *_dense(_LAYER + r"ffn\.lin1", "layer_{0}/up"),
        *_dense(_LAYER + r"ffn\.lin2", "layer_{0}/down"),
        *_norm(_LAYER + r"output_layer_norm", "layer_{0}/norm"),
        *_dense("vocab_transform", "transform"),
        *_norm("vocab_layer_norm", "transform_norm"),
        Rule(r"vocab_projector\.bias", "params/decoder/bias"),
    ),
    unused=(Unused(_ENCODER + r"embeddings\.position_ids", "positions are 0, 1, 2 …", counts_up),),
)


def key_map(config: DistilBertConfig) -> KeyMap:
    """The key map of DistilBertForMaskedLM; the same for all sizes."""
    return KEY_MAP


def hub_config(config: DistilBertConfig) -> dict[str, Any]:
    """The config.json of a checkpoint of `config`."""
    return {
        "architectures": ["DistilBertForMaskedLM"],
        "model_type": "distilbert",
        "activation": "gelu",
        "dim": config.hidden_size,
        "hidden_dim": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "n_heads": config.num_attention_heads,
        "n_layers": config.num_hidden_layers,
        "pad_token_id": 0,
        "vocab_size": config.vocab_size,
    }


SIZE = 0.03
"""About how large hidden states are: what reads them has weights as many times larger."""


def synthetic_checkpoint(
    config: DistilBertConfig, seed: int = 0, scores: float = 1.0
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and float32 tensors of a made-up checkpoint, as DistilBertForMaskedLM is saved.

    Attention is far from uniform (scores are `scores` times as large where that is asked for), each branch and bias
    shows, and what is normalised is small, so that the epsilon of each normalisation shows too. Deeper models get
    smaller branches, for otherwise the tokens of a sentence grow equal on the way up.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    depth = min(1.0, 3.0 / config.num_hidden_layers)
    smaller, sharper = 0.4 * math.sqrt(depth), 1.2 / depth**0.25

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        stream = f"distilbert/{config.name}/{name}"
        return name, uniform(stream, shape, low=middle - bound, high=middle + bound, seed=seed)

    def dense(name: str, outputs: int, inputs: int, gain: float, bias: float) -> Iterator[tuple[str, np.ndarray]]:
        """`gain`: standard deviation of an output for inputs of 1."""
        yield tensor(f"{name}.weight", (outputs, inputs), gain * math.sqrt(3.0 / inputs))
        yield tensor(f"{name}.bias", (outputs,), bias)

    def norm(name: str, bias: float = 0.4, size: float = SIZE) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.weight", (hidden,), 0.4 * size, middle=size)
        yield tensor(f"{name}.bias", (hidden,), bias * size)

    yield tensor("distilbert.embeddings.word_embeddings.weight", (config.vocab_size, hidden), 0.06)
    yield tensor("distilbert.embeddings.position_embeddings.weight", (config.max_position_embeddings, hidden), 0.06)
    yield from norm("distilbert.embeddings.LayerNorm")
    for index in range(config.num_hidden_layers):
        layer = f"distilbert.transformer.layer.{index}"
        yield from dense(f"{layer}.attention.q_lin", hidden, hidden, sharper * scores / SIZE, 1.5 * scores)
        yield from dense(f"{layer}.attention.k_lin", hidden, hidden, sharper / SIZE, 0.6)
        yield from dense(f"{layer}.attention.v_lin", hidden, hidden, 1.0 / SIZE, 0.6)
        yield from dense(f"{layer}.attention.out_lin", hidden, hidden, 1.5 * depth * SIZE, smaller * SIZE)
        yield from norm(f"{layer}.sa_layer_norm", smaller)
        yield from dense(f"{layer}.ffn.lin1", inner, hidden, 0.7 / SIZE, 0.5)
        yield from dense(f"{layer}.ffn.lin2", hidden, inner, 2.0 * depth * SIZE, smaller * SIZE)
        yield from norm(f"{layer}.output_layer_norm", smaller)
    yield from dense("vocab_transform", hidden, hidden, 0.1 / SIZE, 0.05)
    yield from norm("vocab_layer_norm", 0.8, size=1.0)
    yield tensor("vocab_projector.bias", (config.vocab_size,), 0.2)


def synthetic_params(config: DistilBertConfig, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """Parameters (NumPy) of the made-up checkpoint, with which the goldens of `config` were made."""
    return convert_tensors(synthetic_checkpoint(config, seed, scores), config, KEY_MAP)
