"""Continuing a prompt: the code that the demos of all language models share."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.text import percent, table
from zoo.cli.demo import DemoError, Shown, Stage, measured, refused, whole_number
from zoo.text.generation import Generator
from zoo.text.generation_config import not_applied
from zoo.text.sampling import Sampling, probabilities

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jax.sharding import Mesh

    from zoo.text.generation import Decoder

ROUND = 16
"""The number of cache slots is a multiple of this."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--prompt``, the length of the continuation, and how its tokens are chosen."""
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="text to continue")
    parser.add_argument("--tokens", type=whole_number(1), default=20, help="length of the continuation (default: 20)")
    parser.add_argument("--top", type=whole_number(1), default=5, help="how many next tokens to show (default: 5)")
    add_drawing(parser)


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Add how tokens are chosen, for `read_sampling`."""
    drawing = parser.add_argument_group("drawing tokens (default: always the likeliest)")
    drawing.add_argument("--temperature", type=float, help="divide the logits by this, above 0")
    drawing.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens only")
    drawing.add_argument("--top-p", type=float, metavar="P", help="draw from those that together have probability P")
    drawing.add_argument("--seed", type=whole_number(0), help="seed of the random numbers (default: 0)")


def read_sampling(options: argparse.Namespace) -> Sampling | None:
    """How to draw; None for the likeliest token. DemoError for invalid settings."""
    given = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p", "seed")}
    given = {name: value for name, value in given.items() if value is not None}
    with refused(ValueError):
        return Sampling(**given) if given else None


def stop_tokens(directory: Path) -> tuple[int, ...]:
    """The tokens that end a text, by the checkpoint's generation_config.json, else by its config.json."""
    for name in ("generation_config.json", "config.json"):
        path = directory / name
        if not path.is_file():
            continue
        with refused(ValueError, AttributeError):
            found = json.loads(path.read_bytes()).get("eos_token_id")
        if found is not None:
            return tuple(found) if isinstance(found, list) else (int(found),)
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The prompt to continue, and how. DemoError if it does not fit the model, before anything is loaded.

    `max_position_embeddings` and `vocab_size` are those of the variant; `tokens`, `top` and `sampling` the user's.
    """

    stage: Stage
    tokenizer: Any
    prompt: Sequence[int]
    max_position_embeddings: int
    vocab_size: int
    tokens: int
    top: int
    sampling: Sampling | None
    stops: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        beyond = [token for token in self.prompt if token >= self.vocab_size]
        if beyond:
            raise DemoError(
                f"{self.stage.directory}: its tokenizer gives token {beyond[0]}, the weights have 0 to "
                f"{self.vocab_size - 1}: tokenizer and weights do not match"
            )
        if self._needed > self.max_position_embeddings:
            raise DemoError(
                f"a prompt of {len(self.prompt)} tokens and {self.tokens} new ones: {self.stage.variant} has "
                f"{self.max_position_embeddings} positions; shorten the prompt or --tokens"
            )
        if self.top > self.vocab_size:
            raise DemoError(f"--top {self.top}: there are {self.vocab_size} tokens")

    @property
    def _needed(self) -> int:
        return len(self.prompt) + self.tokens - 1  # nothing follows the last token

    @property
    def slots(self) -> int:
        """Cache slots for prompt and continuation; at least for two tokens, so that both programs compile."""
        return min(self.max_position_embeddings, _rounded(max(self._needed, len(self.prompt) + 1)))

    @property
    def prompt_slots(self) -> int:
        """Cache slots for the prompt."""
        return min(self.slots, _rounded(len(self.prompt)))

    def shown(self, decoder: Callable[[Any, Mesh], Decoder]) -> Shown:
        """Load the weights and continue. decoder: as `zoo.model.Model` has it."""
        prompt, stage = list(self.prompt), self.stage
        generator = self.generator(decoder(stage.config, stage.mesh), stage.load())
        first = measured(lambda: generator.follow([prompt], len(prompt))[:, -1])
        compile_s = first.compile_s
        if self.tokens > 1:  # compiles the program of the later tokens
            start = time.perf_counter()
            generator([prompt], 2)
            compile_s += max(0.0, time.perf_counter() - start - 2 * first.run_s)
        start = time.perf_counter()
        row = generator([prompt], self.tokens, sampling=self.sampling, stop=self.stops, padding=-1)[0]
        seconds = time.perf_counter() - start
        chosen = [int(token) for token in row if token >= 0]
        ended = " up to the end of the text" if chosen[-1] in self.stops else ""
        lines = [
            self.next_tokens(first.result),
            "",
            f"{self._how()}, {len(chosen)} token{'s' * (len(chosen) > 1)}{ended}:",
            "",
            self.tokenizer.decode([*prompt, *chosen]),
        ]
        return Shown(
            text="\n".join(lines),
            compile_s=compile_s,
            run_s=first.run_s,
            run_of=f"the first token after a prompt of {len(prompt)}",
            rate=len(chosen) / seconds,
            unit="new tokens",
            notes=self.notes(),
        )

    def generator(self, decoder: Decoder, params: Any) -> Generator:
        """The generator with `params` whose slots are those of this prompt and continuation."""
        return Generator(decoder, params, self.stage.mesh, prompt_slots=self.prompt_slots, slots=self.slots)

    def notes(self) -> dict[str, str]:
        """A row for the checkpoint's settings that are not applied, if there are any."""
        told = not_applied(self.stage.directory, self.sampling)
        return {"not applied": f"{told} (by the checkpoint's settings of generation)"} if told else {}

    def next_tokens(self, logits: np.ndarray) -> str:
        """The likeliest tokens and their probabilities."""
        (likely,) = probabilities(logits, Sampling())
        best = [int(token) for token in np.argsort(-likely, kind="stable")[: self.top]]
        texts = [repr(self.tokenizer.decode([token], skip_special_tokens=False)) for token in best]
        rows = [(text, percent(likely[token])) for text, token in zip(texts, best, strict=True)]
        return table([("next token", "probability"), *rows], right=(1,))

    def _how(self) -> str:
        sampling = self.sampling
        if sampling is None:
            return "always the likeliest"
        told = {"temperature": sampling.temperature, "top-k": sampling.top_k, "top-p": sampling.top_p}
        filters = ", ".join(f"{name} {value:g}" for name, value in told.items() if value is not None)
        return f"drawn with {filters}, seed {sampling.seed}"


def _rounded(count: int) -> int:
    return -(-count // ROUND) * ROUND
