"""``python -m zoo run t5``: what the model writes about a text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from zoo.cli.demo import Demo, DemoError, Shown, Stage, refused, whole_number
from zoo.t5.sharding import writer
from zoo.text.continuation import add_drawing, read_sampling, stop_tokens
from zoo.text.encoder_decoder import Writer
from zoo.text.generation_config import not_applied
from zoo.text.tokenizer import read_tokenizer

if TYPE_CHECKING:
    import argparse

ROUND = 16
"""Tokens of what is read, and slots of the cache, are multiples of this."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the text and how it is answered."""
    parser.add_argument("text", metavar="TEXT", help="what the model is asked, 'translate English to German: Hello.'")
    parser.add_argument("--tokens", type=whole_number(1), default=32, help="tokens to write at most (default: 32)")
    add_drawing(parser)


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, read the text and write."""
    sampling = read_sampling(options)
    with refused(ValueError):
        tokenizer = read_tokenizer(stage.directory)
    read = tokenizer.encode(options.text).ids
    if not read:
        raise DemoError(f"{options.text!r} has no tokens: expected some text")
    if max(read) >= stage.config.vocab_size:
        raise DemoError(
            f"{stage.directory}: its tokenizer gives token {max(read)}, the weights have 0 to "
            f"{stage.config.vocab_size - 1}: tokenizer and weights do not match"
        )
    room = -(-len(read) // ROUND) * ROUND
    ids, mask = np.zeros((1, room), np.int32), np.zeros((1, room), np.int32)
    ids[0, : len(read)], mask[0, : len(read)] = read, 1
    inputs, stops = {"input_ids": ids, "attention_mask": mask}, stop_tokens(stage.directory)
    slots = -(-options.tokens // ROUND) * ROUND
    model = Writer(writer(stage.config, stage.mesh), stage.load(), stage.mesh, slots=slots)

    def timed() -> tuple[np.ndarray, float]:
        start = time.perf_counter()
        row = model(inputs, options.tokens, sampling=sampling, stop=stops, padding=-1)[0]
        return row[row >= 0], time.perf_counter() - start

    _, first_s = timed()
    written, run_s = timed()
    ended = " up to the end of the text" if written[-1] in stops else ""
    told = not_applied(stage.directory, sampling)
    return Shown(
        text=f"{len(written)} token{'s' * (len(written) > 1)}{ended}:\n\n{tokenizer.decode(written.tolist())}",
        compile_s=max(0.0, first_s - run_s),
        run_s=run_s,
        run_of=f"reading {len(read)} tokens and writing {len(written)}",
        rate=len(written) / run_s,
        unit="new tokens",
        notes={"not applied": f"{told} (by the checkpoint's settings of generation)"} if told else {},
    )


DEMO = Demo(
    summary="T5: what the model writes about a text, such as its translation.",
    variant="flan-t5-base",
    arguments=add_arguments,
    run=run,
)
