"""``python -m zoo run bert``: what stands behind a [MASK], or how alike sentences are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from zoo.bert import params, sharding
from zoo.bert.model import MINILM, Bert, forward
from zoo.bert.text import encode, from_vocabulary
from zoo.demo import Demo, DemoError, Measured, Shown, Stage, measured, refused, whole_number
from zoo.table import percent, table
from zoo.tensor_files import TensorFiles
from zoo.tokenizer import read_tokenizer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo.bert.model import BertConfig

MASK = "[MASK]"

MASKED = (
    "The capital of France is [MASK].",
    "She opened the [MASK] and went [MASK].",
    "Bread is baked in an [MASK].",
)
"""Sentences for a masked language model, where none are given."""

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

LENGTHS = 8
"""Sentences are padded to a multiple of so many tokens."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the demo takes."""
    parser.add_argument(
        "sentences",
        nargs="*",
        metavar="SENTENCE",
        help=f"with {MASK} for a masked language model, to fill it in; for a sentence encoder, to compare with the "
        "others (default: some of ours)",
    )
    parser.add_argument("--top", type=whole_number(1), default=5, help=f"how many words for a {MASK} (default: 5)")


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and fill in or compare the sentences."""
    config = as_stored(stage.config, TensorFiles(stage.directory))
    with refused(ValueError):
        tokenizer = read_tokenizer(stage.directory, {("vocab.txt",): from_vocabulary})
    sentences = tuple(options.sentences) or (MASKED if config.masked_lm else ALIKE)
    inputs = _inputs(stage, config, tokenizer, sentences)
    if config.masked_lm:
        blanks = _blanks(tokenizer, inputs, sentences)
        if options.top > config.vocabulary:
            raise DemoError(f"--top {options.top}: there are {config.vocabulary} tokens")
        outputs = _outputs(stage, config, inputs, "logits")
        logits = outputs.result[..., : config.vocabulary]
        text = _filled(tokenizer, sentences, inputs["input_ids"], blanks, logits, options.top)
    else:
        if any(MASK in sentence for sentence in sentences):
            raise DemoError(f"{stage.variant}: the checkpoint has no masked language model head to fill in {MASK}")
        if len(sentences) == 1:
            raise DemoError("one sentence: give two or more, to compare them")
        outputs = _outputs(stage, config, inputs, "sentence")
        text = _similarities(sentences, outputs.result)
    return Shown(
        text=text,
        compile_s=outputs.compile_s,
        run_s=outputs.run_s,
        run_of=f"{len(sentences)} sentence{'s' * (len(sentences) > 1)} of up to {inputs['input_ids'].shape[1]} tokens",
        rate=len(sentences) / outputs.run_s,
        unit="sentences",
    )


def as_stored(config: BertConfig, tensors: Mapping[str, Any]) -> BertConfig:
    """`config` without the masked language model head where the checkpoint has none: BertModel is saved so."""
    head = any(name.startswith("cls.predictions.") for name in tensors)
    return config if head else replace(config, masked_lm=False)


def _inputs(stage: Stage, config: BertConfig, tokenizer: Any, sentences: Sequence[str]) -> dict[str, np.ndarray]:
    """The model's inputs, with rows of padding so that the mesh divides them."""
    empty = [number for number, sentence in enumerate(sentences, 1) if not sentence.strip()]
    if empty:
        raise DemoError(f"sentence {empty[0]} is empty: expected some text")
    longest = config.positions
    inputs = encode(tokenizer, sentences, longest=longest + 1, multiple=1)
    lengths = inputs["attention_mask"].sum(axis=1)
    if lengths.max() > longest:
        number = int(lengths.argmax()) + 1
        raise DemoError(f"sentence {number} has more than the {longest} tokens that {stage.variant} knows: shorten it")
    if inputs["input_ids"].max() >= config.vocabulary:
        raise DemoError(
            f"{stage.directory}: its tokenizer gives token {inputs['input_ids'].max()}, the weights know 0 to "
            f"{config.vocabulary - 1}: they do not belong together"
        )
    inputs = encode(tokenizer, sentences, longest=longest, multiple=math.gcd(LENGTHS, longest))
    missing = -len(sentences) % stage.mesh.shape["batch"]
    return {name: np.concatenate([values, values[-1:].repeat(missing, axis=0)]) for name, values in inputs.items()}


def _outputs(stage: Stage, config: BertConfig, inputs: dict[str, np.ndarray], output: str) -> Measured[np.ndarray]:
    """One output of the model, on the host."""
    weights, mesh = stage.load(config), stage.mesh
    fitted = sharding.fit(config, mesh)
    whole = forward(Bert(fitted))

    def placed(specs: dict[str, Any]) -> dict[str, Any]:
        return {name: NamedSharding(mesh, spec) for name, spec in specs.items()}

    program = jax.jit(
        lambda weights, inputs: whole(weights, inputs)[output],
        in_shardings=(None, placed(sharding.input_specs(fitted, mesh))),
        out_shardings=placed(sharding.output_specs(fitted, mesh))[output],
    )
    return measured(lambda: np.asarray(program(weights, inputs)))


def _blanks(tokenizer: Any, inputs: dict[str, np.ndarray], sentences: Sequence[str]) -> list[list[int]]:
    """Where each sentence has [MASK]: positions among its tokens."""
    mask = tokenizer.token_to_id(MASK)
    if mask is None:
        raise DemoError(f"the checkpoint's tokenizer has no token {MASK}: it is not that of a masked language model")
    found = [np.flatnonzero(row == mask).tolist() for row in inputs["input_ids"][: len(sentences)]]
    for number, places in enumerate(found):
        if not places:
            raise DemoError(
                f"{sentences[number]!r} has no {MASK}: write {MASK} for a word to be filled in; to compare sentences, "
                f"run {MINILM.name}"
            )
    return found


def _filled(
    tokenizer: Any,
    sentences: Sequence[str],
    ids: np.ndarray,
    blanks: list[list[int]],
    logits: np.ndarray,
    count: int,
) -> str:
    """Under each sentence the likeliest words for its blanks, and the sentence with the first of them."""
    blocks = []
    for row, (sentence, places) in enumerate(zip(sentences, blanks, strict=True)):
        filled = ids[row].copy()
        columns = []
        for place in places:
            likely = _softmax(logits[row, place])
            best = np.argsort(-likely, kind="stable")[:count]
            filled[place] = best[0]
            columns.append([(str(tokenizer.id_to_token(int(token))), percent(likely[token])) for token in best])
        rows = [tuple(cell for pair in line for cell in pair) for line in zip(*columns, strict=True)]
        if len(places) > 1:
            rows.insert(0, tuple(cell for number in range(1, len(places) + 1) for cell in (f"{MASK} {number}", "")))
        right = tuple(range(1, 2 * len(places), 2))
        words = "\n".join(f"    {line}" for line in table(rows, right).splitlines())
        blocks.append(f"{sentence}\n{words}\n  = {tokenizer.decode(filled.tolist())}")
    return "\n\n".join(blocks)


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


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


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
