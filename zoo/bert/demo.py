"""``python -m zoo run bert``: what stands behind a [MASK], or how alike sentences are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.text import table
from zoo.bert import params
from zoo.bert.model import MINILM
from zoo.bert.sentence_transformers import LENGTH, check_pooling, longest_sentence
from zoo.checkpoints.tensor_files import TensorFiles
from zoo.cli.demo import Demo, DemoError, Shown, Stage
from zoo.cli.output import output_of
from zoo.text import fill_mask
from zoo.text.fill_mask import MASK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo.bert.model import BertConfig

ALIKE = (
    "A cat sleeps on the sofa.",
    "How do I reset my password?",
    "The stock market fell sharply today.",
    "A kitten is napping on the couch.",
    "I forgot my login and need a new one.",
    "Shares lost much of their value this afternoon.",
)
"""Sentences to compare, where none are given: two of each kind."""

WIDEST = 12
"""Sentences that a table of each with each can have."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the demo takes."""
    fill_mask.arguments(
        parser,
        sentences=f"with {MASK} for a masked language model, to fill it in; for a sentence encoder, to compare with "
        "the others",
    )


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and fill in or compare the sentences."""
    config = as_stored(stage.config, TensorFiles(stage.directory))
    tokenizer = fill_mask.tokenizer_of(stage)
    if config.masked_lm:
        return fill_mask.fill_in(stage, config, tokenizer, tuple(options.sentences) or fill_mask.SENTENCES, options.top)
    check_pooling(stage.directory)
    sentences = tuple(options.sentences) or ALIKE
    inputs = fill_mask.inputs_of(stage, config, tokenizer, sentences)
    if any(MASK in sentence for sentence in sentences):
        raise DemoError(f"{stage.variant}: the checkpoint has no masked language model head to fill in {MASK}")
    longest = longest_sentence(stage.directory)
    lengths = inputs["attention_mask"][: len(sentences)].sum(axis=1)
    if longest is not None and lengths.max() > longest:
        raise DemoError(
            f"sentence {int(lengths.argmax()) + 1} has {lengths.max()} tokens, and the checkpoint's {LENGTH} cuts them "
            f"at {longest}: shorten it"
        )
    if len(sentences) == 1:
        raise DemoError("one sentence: give two or more, to compare them")
    outputs = output_of(stage, config, inputs, "sentence")
    return fill_mask.shown(_similarities(sentences, outputs.result), sentences, inputs, outputs)


def as_stored(config: BertConfig, tensors: Mapping[str, Any]) -> BertConfig:
    """`config` without the masked language model head where the checkpoint has none: BertModel is saved so."""
    head = any(name.startswith("cls.predictions.") for name in tensors)
    return config if head else replace(config, masked_lm=False)


def _similarities(sentences: Sequence[str], vectors: np.ndarray) -> str:
    """The sentences, which is nearest to each, and, unless there are many, the cosine of each with each."""
    vectors = vectors[: len(sentences)].astype(np.float64)  # of length 1 each
    names = [str(number) for number in range(1, len(sentences) + 1)]
    cosines = [[f"{value:.2f}" for value in row] for row in vectors @ vectors.T]
    rows = [("", *names), *((name, *row) for name, row in zip(names, cosines, strict=True))]
    told = [("", "sentence", "nearest", "similarity")]
    others = vectors @ vectors.T - 3.0 * np.eye(len(names))
    for name, sentence, row in zip(names, sentences, others, strict=True):
        told.append((name, sentence, names[int(row.argmax())], f"{row.max():.2f}"))
    text = table(told, right=(0, 2, 3))
    if len(names) > WIDEST:
        return text
    return (
        f"{text}\n\ncosine similarity of each with each (1: the same meaning)\n\n{table(rows, right=range(len(rows)))}"
    )


def packaged(variant: str) -> Path | None:
    """all-MiniLM-L6-v2 from its PyPI package, where that is installed: the same bytes as on the hub."""
    if variant != MINILM.name:
        return None
    try:
        return params.package_folder()
    except params.PackageMissingError:
        return None


DEMO = Demo(
    summary=f"BERT: words for each {MASK} of sentences; with a sentence encoder, how alike sentences are.",
    variant="bert-base-uncased",
    arguments=arguments,
    run=run,
    packaged=packaged,
)
