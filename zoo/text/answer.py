"""The demo of language models that answer: an answer to a message, or a continuation, written as its tokens come."""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_tt.text import short_count
from zoo.cli.demo import Demo, DemoError, Shown, Stage, refused
from zoo.layers.decoder_config import DTYPES, SPREADS
from zoo.layers.decoder_sharding import cache_bytes
from zoo.text.chat import chat_text, pieces
from zoo.text.continuation import Continuation, add_arguments, read_sampling, stop_tokens
from zoo.text.tokenizer import read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo.text.generation import Decoder

ANSWERING = r".+-(instruct|it)"
"""Names of variants that answer messages."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Those of all language models, the chat, and how the weights lie."""
    add_arguments(parser)
    parser.add_argument(
        "--chat",
        action=argparse.BooleanOptionalAction,
        help="take the prompt for a message to be answered, by the checkpoint's chat template (default: where the "
        "variant is an Instruct one)",
    )
    parser.add_argument("--system", metavar="TEXT", help="the system's message before it (default: the template's own)")
    parser.add_argument("--dtype", choices=DTYPES, help="of weights and cache (default: the variant's)")
    parser.add_argument(
        "--spread",
        choices=SPREADS,
        default="model",
        help="let one copy of the weights lie over the mesh's axis model, or over all chips (default: model)",
    )


def run(decoder: Callable[[Any, Any], Decoder], answers: str, stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, and write what comes after the prompt. decoder, answers: as `answering` has them."""
    sampling = read_sampling(options)
    if not options.prompt:
        raise DemoError("--prompt is empty: expected some text")
    chat = re.fullmatch(answers, stage.variant) is not None if options.chat is None else options.chat
    if options.system is not None and not chat:
        raise DemoError(f"--system is for chats, and {stage.variant} continues texts: add --chat, or leave it out")
    with refused(ValueError):
        tokenizer = read_tokenizer(stage.directory)
        text = chat_text(stage.directory, messages(options)) if chat else options.prompt
    prompt = tokenizer.encode(text, add_special_tokens=not chat).ids
    if not prompt:
        raise DemoError(f"--prompt {options.prompt!r} has no tokens: expected some text")
    config = replace(stage.config, spread=options.spread, dtype=options.dtype or stage.config.dtype)
    plan = Continuation(
        stage=stage,
        tokenizer=tokenizer,
        prompt=prompt,
        max_position_embeddings=config.max_position_embeddings,
        vocab_size=config.vocab_size,
        tokens=options.tokens,
        top=options.top,
        sampling=sampling,
        stops=stop_tokens(stage.directory),
    )
    params = stage.load(config)
    generator = plan.generator(decoder(config, stage.mesh), params)

    again = prompt[-1:] if options.tokens > 1 else []  # any token: one step compiles the second program
    start = time.perf_counter()
    logits = generator.follow([[*prompt, *again]], len(prompt))[:, 0]
    warm_s = time.perf_counter() - start
    print(f"{plan.next_tokens(logits)}\n")
    clock = Clock()
    stops = set(plan.stops)
    steps = generator.stream([prompt], options.tokens, sampling=sampling, stop=plan.stops)
    for piece in pieces(
        tokenizer, (token for token in clock.watch(int(step[0]) for step in steps) if token not in stops)
    ):
        sys.stdout.write(piece)
        sys.stdout.flush()

    cache = short_count(cache_bytes(config, stage.mesh, 1, plan.slots)).strip()
    return Shown(
        text="",
        compile_s=max(0.0, warm_s - clock.first_s - (clock.step_s if again else 0.0)),
        run_s=clock.first_s,
        run_of=f"the first token after a prompt of {len(prompt)}",
        rate=1 / clock.step_s,
        unit="tokens",
        notes={
            "tokens": f"{clock.count}{', up to the end of the text' if clock.last in stops else ''}",
            "cache": f"{cache}B per chip, {plan.slots} positions",
            **plan.notes(),
        },
    )


def messages(options: argparse.Namespace) -> list[dict[str, str]]:
    """What the chat is about."""
    told = [("system", options.system), ("user", options.prompt)]
    return [{"role": role, "content": content} for role, content in told if content is not None]


class Clock:
    """When the tokens came."""

    def __init__(self) -> None:
        self.count = 0
        self.last: int | None = None
        self.first_s = 0.0
        """Seconds until the first token."""
        self.step_s = 0.0
        """Seconds a token took after the first, on average; those until the first if it is the only one."""

    def watch(self, tokens: Iterator[int]) -> Iterator[int]:
        """The same tokens."""
        start = time.perf_counter()
        for token in tokens:
            now = time.perf_counter() - start
            self.count, self.last = self.count + 1, token
            if self.count == 1:
                self.first_s = self.step_s = now
            else:
                self.step_s = (now - self.first_s) / (self.count - 1)
            yield token


def answering(decoder: Callable[[Any, Any], Decoder], *, summary: str, variant: str, answers: str = ANSWERING) -> Demo:
    """The demo of a model, by its `decoder`; `variant` is the one that is shown unless another is named.

    answers: a pattern of the names of variants that answer messages; the others continue texts.
    """
    return Demo(summary=summary, variant=variant, arguments=arguments, run=partial(run, decoder, answers))
