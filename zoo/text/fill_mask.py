"""Filling in [MASK]: the demo of masked language models, and the code it shares with demos of other encoders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.text import percent, table
from zoo.cli.demo import DemoError, Measured, Shown, Stage, refused, whole_number
from zoo.cli.output import output_of
from zoo.text.tokenizer import read_tokenizer
from zoo.text.wordpiece import encode, from_vocabulary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

MASK = "[MASK]"

SENTENCES = (
    "The capital of France is [MASK].",
    "She opened the [MASK] and went [MASK].",
    "Bread is baked in an [MASK].",
)
"""The default sentences."""

LENGTHS = 8
"""Sentences are padded to a multiple of this many tokens."""


def arguments(parser: argparse.ArgumentParser, *, sentences: str = f"with {MASK} for each word to fill in") -> None:
    """Add the arguments of a demo that takes sentences; `sentences` is their help text."""
    parser.add_argument("sentences", nargs="*", metavar="SENTENCE", help=f"{sentences} (default: some of ours)")
    parser.add_argument("--top", type=whole_number(1), default=5, help=f"how many words for a {MASK} (default: 5)")


def fill_in(stage: Stage, config: Any, tokenizer: Any, sentences: Sequence[str], top: int) -> Shown:
    """Load, and find the `top` likeliest words for each [MASK]. DemoError for sentences that cannot be filled in.

    The model has an output ``logits`` [sentences, tokens, words], its config `vocab_size` and
    `max_position_embeddings`.
    """
    inputs = inputs_of(stage, config, tokenizer, sentences)
    blanks = _blanks(tokenizer, inputs, sentences)
    if top > config.vocab_size:
        raise DemoError(f"--top {top}: there are {config.vocab_size} tokens")
    outputs = output_of(stage, config, inputs, "logits")
    logits = outputs.result[..., : config.vocab_size]
    return shown(_filled(tokenizer, sentences, inputs["input_ids"], blanks, logits, top), sentences, inputs, outputs)


def tokenizer_of(stage: Stage) -> Any:
    """The tokenizer of the checkpoint: tokenizer.json, else vocab.txt. DemoError if it cannot be used."""
    with refused(ValueError):
        return read_tokenizer(stage.directory, {("vocab.txt",): from_vocabulary})


def inputs_of(stage: Stage, config: Any, tokenizer: Any, sentences: Sequence[str]) -> dict[str, np.ndarray]:
    """The model's inputs, with rows of padding so that the mesh divides them."""
    empty = [number for number, sentence in enumerate(sentences, 1) if not sentence.strip()]
    if empty:
        raise DemoError(f"sentence {empty[0]} is empty: expected some text")
    longest = config.max_position_embeddings
    inputs = encode(tokenizer, sentences, longest=longest + 1, multiple=1)
    lengths = inputs["attention_mask"].sum(axis=1)
    if lengths.max() > longest:
        number = int(lengths.argmax()) + 1
        raise DemoError(f"sentence {number} has more than the {longest} tokens that {stage.variant} takes: shorten it")
    if inputs["input_ids"].max() >= config.vocab_size:
        raise DemoError(
            f"{stage.directory}: its tokenizer gives token {inputs['input_ids'].max()}, the weights have 0 to "
            f"{config.vocab_size - 1}: tokenizer and weights do not match"
        )
    inputs = encode(tokenizer, sentences, longest=longest, multiple=math.gcd(LENGTHS, longest))
    missing = -len(sentences) % stage.mesh.shape["batch"]
    return {name: np.concatenate([values, values[-1:].repeat(missing, axis=0)]) for name, values in inputs.items()}


def shown(text: str, sentences: Sequence[str], inputs: dict[str, np.ndarray], outputs: Measured[np.ndarray]) -> Shown:
    """`text` with the times of `outputs`."""
    return Shown(
        text=text,
        compile_s=outputs.compile_s,
        run_s=outputs.run_s,
        run_of=f"{len(sentences)} sentence{'s' * (len(sentences) > 1)} of up to {inputs['input_ids'].shape[1]} tokens",
        rate=len(sentences) / outputs.run_s,
        unit="sentences",
    )


def _blanks(tokenizer: Any, inputs: dict[str, np.ndarray], sentences: Sequence[str]) -> list[list[int]]:
    """The positions of [MASK] among the tokens of each sentence."""
    mask = tokenizer.token_to_id(MASK)
    if mask is None:
        raise DemoError(
            f"the checkpoint's tokenizer has no token {MASK}: it does not belong to a masked language model"
        )
    found = [np.flatnonzero(row == mask).tolist() for row in inputs["input_ids"][: len(sentences)]]
    for number, places in enumerate(found):
        if not places:
            raise DemoError(
                f"{sentences[number]!r} has no {MASK}: write {MASK} for each word to fill in; to compare sentences, "
                "run all-MiniLM-L6-v2"
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
    """Each sentence with the likeliest words for its blanks, and the sentence filled in with the first of them."""
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


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())
