"""Generation on a mesh: prompts of different lengths in one batch, two programs that are compiled once each.

Prompts are padded on the right and each row counts its own positions, which are its slots in the cache as well: what
stands behind a row's last token is overwritten before anything may attend to it, so that padding changes no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np
from jax.sharding import PartitionSpec as P

from zoo.parts.sharding import bound
from zoo.text.sampling import draw, likeliest

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import Mesh

    from zoo.text.sampling import Sampling

Tokens: TypeAlias = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A language model on a mesh, as generation sees it.

    module: linen, fitted to the mesh, with ``prefill(input_ids, last, slots)``, which gives logits and a cache, and
    ``decode(tokens, positions, cache)``, which gives the next of both. name, vocab_size, max_position_embeddings: of
    the variant; logits beyond `vocab_size` are of no token. row_multiple: rows must divide by it. All else: trees of
    PartitionSpec.
    """

    module: Any
    name: str
    vocab_size: int
    max_position_embeddings: int
    row_multiple: int
    params: Any
    rows: P
    """Of tokens [batch, length]; its first axis is that of all that holds one number a row."""
    logits: P
    """Of logits [batch, vocab_size and padding]."""
    cache: Any


def programs(decoder: Decoder, mesh: Mesh, slots: int, jit: Callable[..., Any] = jax.jit) -> tuple[Any, Any]:
    """The two programs of generation with a cache of `slots` positions, each giving logits and the cache.

    ``prefill(params, input_ids [rows, prompt], last [rows])`` and ``decode(params, tokens [rows], positions [rows],
    cache)``, as `Decoder` has them. jit: jax.jit, or ``tt_jit``. Nothing is placed.
    """
    module = decoder.module

    def prefill(params: Any, input_ids: jax.Array, last: jax.Array) -> Any:
        return module.apply(params, input_ids, last, slots, method="prefill")

    def decode(params: Any, tokens: jax.Array, positions: jax.Array, cache: Any) -> Any:
        return module.apply(params, tokens, positions, cache, method="decode")

    weights, caches = bound(decoder.params, mesh), bound(decoder.cache, mesh)
    row, each = bound(decoder.rows, mesh), bound(P(decoder.rows[0]), mesh)
    outputs = (bound(decoder.logits, mesh), caches)
    return (
        jit(prefill, in_shardings=(weights, row, each), out_shardings=outputs),
        # The cache is written where it lies: each step gives up the one before.
        jit(decode, in_shardings=(weights, each, each, caches), out_shardings=outputs, donate_argnums=(3,)),
    )


class Generator:
    """Continues prompts of up to `prompt_slots` tokens, so that prompt and continuation fit into `slots`.

    params: of the decoder's module, from anywhere. jit: jax.jit, or ``tt_jit``. ValueError if the sizes contradict each
    other or the model's positions.
    """

    def __init__(
        self,
        decoder: Decoder,
        params: Any,
        mesh: Mesh,
        *,
        prompt_slots: int,
        slots: int,
        jit: Callable[..., Any] = jax.jit,
    ) -> None:
        if not 1 <= prompt_slots <= slots <= decoder.max_position_embeddings:
            raise ValueError(
                f"prompt_slots {prompt_slots} and slots {slots}: expected 1 <= prompt_slots <= slots <= the "
                f"{decoder.max_position_embeddings} positions of {decoder.name}"
            )
        self.prompt_slots = prompt_slots
        self.slots = slots
        self._decoder = decoder
        self.params = jax.device_put(params, bound(decoder.params, mesh))
        self.prefill, self.decode = programs(decoder, mesh, slots, jit)

    def __call__(
        self,
        prompts: Sequence[Tokens],
        new_tokens: int,
        *,
        sampling: Sampling | None = None,
        stop: int | Tokens | None = None,
        padding: int = 0,
    ) -> np.ndarray:
        """The next `new_tokens` of each prompt, int32 [prompts, new_tokens]; the likeliest, or drawn by `sampling`.

        A row that gave a token of `stop` goes on with `padding`. All rows stopped: the rest is `padding`.
        """
        result = np.full((len(prompts), new_tokens), padding, np.int32)
        for step, tokens in enumerate(self.stream(prompts, new_tokens, sampling=sampling, stop=stop, padding=padding)):
            result[:, step] = tokens
        return result

    def stream(
        self,
        prompts: Sequence[Tokens],
        new_tokens: int,
        *,
        sampling: Sampling | None = None,
        stop: int | Tokens | None = None,
        padding: int = 0,
    ) -> Iterator[np.ndarray]:
        """As a call, but each step's tokens as they come, int32 [prompts]; ends when all rows have stopped."""
        self._check(prompts, new_tokens)
        stops = [] if stop is None else [stop] if isinstance(stop, int) else list(stop)
        return self._stream(prompts, new_tokens, sampling, stops, padding)

    def _stream(
        self, prompts: Sequence[Tokens], new_tokens: int, sampling: Sampling | None, stops: list[int], padding: int
    ) -> Iterator[np.ndarray]:
        random = np.random.default_rng(None if sampling is None else sampling.seed)
        unfinished = np.ones(len(prompts), bool)
        logits, positions, cache = self._begin(prompts)
        for step in range(new_tokens):
            scores = self._scores(logits, len(prompts))
            chosen = likeliest(scores) if sampling is None else draw(scores, sampling, random)
            tokens = np.where(unfinished, chosen, padding).astype(np.int32)
            yield tokens
            unfinished &= ~np.isin(chosen, stops)
            if step + 1 == new_tokens or not unfinished.any():
                return
            logits, positions, cache = self._step(tokens, positions, cache)

    def follow(self, texts: Sequence[Tokens], given: int) -> np.ndarray:
        """Logits after each token of `texts` from the last given one on, [texts, length - given + 1, vocab] float32.

        Teacher forcing: of texts of one length the first `given` tokens are the prompt, and each step gets the text's
        own next token, whatever the model would have said. ValueError if a text does not fit.
        """
        lengths = {len(text) for text in texts}
        if len(lengths) != 1 or not 1 <= given <= min(lengths):
            raise ValueError(
                f"texts of {sorted(lengths)} tokens, {given} given: expected one length, of {given} or more"
            )
        (length,) = lengths
        self._check([text[:given] for text in texts], max(1, length - given))
        self._check_tokens(texts)
        logits, positions, cache = self._begin([text[:given] for text in texts])
        found = [self._scores(logits, len(texts))]
        for step in range(given, length):
            logits, positions, cache = self._step(np.array([text[step] for text in texts]), positions, cache)
            found.append(self._scores(logits, len(texts)))
        return np.stack(found, axis=1)

    def _begin(self, prompts: Sequence[Tokens]) -> tuple[Any, np.ndarray, Any]:
        """Logits after the prompts, each row's last position, and the cache."""
        multiple = self._decoder.row_multiple
        rows = -(-len(prompts) // multiple) * multiple
        input_ids, positions = np.zeros((rows, self.prompt_slots), np.int32), np.zeros(rows, np.int32)
        for row, prompt in enumerate(prompts):
            input_ids[row, : len(prompt)] = prompt
            positions[row] = len(prompt) - 1
        logits, cache = self.prefill(self.params, input_ids, positions)
        return logits, positions, cache

    def _step(self, chosen: np.ndarray, before: np.ndarray, cache: Any) -> tuple[Any, np.ndarray, Any]:
        """The same after one more token a row."""
        tokens, positions = np.zeros(len(before), np.int32), before + 1
        tokens[: len(chosen)] = chosen
        logits, cache = self.decode(self.params, tokens, positions, cache)
        return logits, positions, cache

    def _scores(self, logits: Any, rows: int) -> np.ndarray:
        """Logits on the host, without those behind the vocabulary and without rows that only fill the batch."""
        return np.asarray(logits)[:rows, : self._decoder.vocab_size]

    def _check(self, prompts: Sequence[Tokens], new_tokens: int) -> None:
        """ValueError if there are no prompts, or one does not fit."""
        if not prompts or new_tokens < 1:
            raise ValueError(f"{len(prompts)} prompts and {new_tokens} new tokens: expected 1 or more of both")
        for number, prompt in enumerate(prompts):
            if not 1 <= len(prompt) <= self.prompt_slots:
                raise ValueError(f"prompt {number} has {len(prompt)} tokens: expected 1 to {self.prompt_slots}")
            if len(prompt) + new_tokens > self.slots + 1:
                raise ValueError(
                    f"prompt {number} of {len(prompt)} tokens and {new_tokens} new ones need more than "
                    f"{self.slots} slots"
                )
        self._check_tokens(prompts)

    def _check_tokens(self, prompts: Sequence[Tokens]) -> None:
        for number, prompt in enumerate(prompts):
            wrong = [token for token in prompt if not 0 <= token < self._decoder.vocab_size]
            if wrong:
                raise ValueError(f"prompt {number} has token {wrong[0]}: expected 0 to {self._decoder.vocab_size - 1}")
