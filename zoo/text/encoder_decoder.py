"""Text from models with an encoder and a decoder on a mesh: two programs that are compiled once each.

`encode` reads the inputs once, and gives the keys and values that each layer of the decoder sees of them; `decode`
writes one token a row, from the first on: tokens that are given go in one by one as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import PartitionSpec as P

from zoo.parts.sharding import bound
from zoo.text.sampling import draw, likeliest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jax.sharding import Mesh

    from zoo.text.sampling import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderDecoder:
    """A model that writes text about its inputs, on a mesh, as generation sees it.

    module: linen, fitted to the mesh, with ``encode(slots, **inputs)``, which gives memory and an empty cache, and
    ``decode(tokens, positions, memory, cache)``, which gives logits and the cache. start: the tokens that every text
    begins with. longest: slots of the cache at most, None: any number. never, never_first: tokens that are not
    written, at all or as the first behind `start`. row_multiple: rows must divide by it. All else: trees of
    PartitionSpec.
    """

    module: Any
    name: str
    vocab_size: int
    start: tuple[int, ...]
    longest: int | None = None
    never: tuple[int, ...] = ()
    never_first: tuple[int, ...] = ()
    row_multiple: int
    params: Any
    inputs: Mapping[str, P]
    logits: P
    """Of logits [batch, vocab_size and padding]; its first axis is that of all that holds one number a row."""
    memory: Any
    cache: Any


def programs(model: EncoderDecoder, mesh: Mesh, slots: int, jit: Callable[..., Any] = jax.jit) -> tuple[Any, Any]:
    """``encode(params, inputs)`` and ``decode(params, tokens [rows], positions [rows], memory, cache)``.

    As `EncoderDecoder` has them, with a cache of `slots` positions. jit: jax.jit, or ``tt_jit``. Nothing is placed.
    """
    module = model.module

    def encode(params: Any, inputs: Any) -> Any:
        return module.apply(params, slots, **inputs, method="encode")

    def decode(params: Any, tokens: jax.Array, positions: jax.Array, memory: Any, cache: Any) -> Any:
        return module.apply(params, tokens, positions, memory, cache, method="decode")

    weights, memory, cache = bound(model.params, mesh), bound(model.memory, mesh), bound(model.cache, mesh)
    each = bound(P(model.logits[0]), mesh)
    return (
        jit(encode, in_shardings=(weights, bound(dict(model.inputs), mesh)), out_shardings=(memory, cache)),
        # The cache is written where it lies: each step gives up the one before.
        jit(
            decode,
            in_shardings=(weights, each, each, memory, cache),
            out_shardings=(bound(model.logits, mesh), cache),
            donate_argnums=(4,),
        ),
    )


class Writer:
    """Writes up to `slots` tokens about each row of inputs, those that every text begins with included.

    params: of the model's module, from anywhere. jit: jax.jit, or ``tt_jit``. ValueError if the model has no such
    positions.
    """

    def __init__(
        self, model: EncoderDecoder, params: Any, mesh: Mesh, *, slots: int, jit: Callable[..., Any] = jax.jit
    ) -> None:
        if not len(model.start) <= slots <= (model.longest or slots):
            raise ValueError(
                f"slots {slots}: expected {len(model.start)} to {model.longest or 'any number'} for {model.name}"
            )
        self.slots = slots
        self._model = model
        self.params = jax.device_put(params, bound(model.params, mesh))
        self.encode, self.decode = programs(model, mesh, slots, jit)

    def __call__(
        self,
        inputs: Mapping[str, np.ndarray],
        new_tokens: int,
        *,
        start: Sequence[int] | None = None,
        sampling: Sampling | None = None,
        stop: Sequence[int] = (),
        padding: int = 0,
    ) -> np.ndarray:
        """The next `new_tokens` behind `start` for each row of `inputs`, int32 [rows, new_tokens].

        The likeliest, or drawn by `sampling`. start: the model's. A row that gave a token of `stop` goes on with
        `padding`. All rows stopped: the rest is `padding`. ValueError if that does not fit.
        """
        rows = len(next(iter(inputs.values())))
        result = np.full((rows, new_tokens), padding, np.int32)
        steps = self.stream(inputs, new_tokens, start=start, sampling=sampling, stop=stop, padding=padding)
        for step, tokens in enumerate(steps):
            result[:, step] = tokens
        return result

    def stream(
        self,
        inputs: Mapping[str, np.ndarray],
        new_tokens: int,
        *,
        start: Sequence[int] | None = None,
        sampling: Sampling | None = None,
        stop: Sequence[int] = (),
        padding: int = 0,
    ) -> Iterator[np.ndarray]:
        """As a call, but each step's tokens as they come, int32 [rows]; ends when all rows have stopped."""
        begun = tuple(self._model.start if start is None else start)
        wrong = [token for token in begun if not 0 <= token < self._model.vocab_size]
        if wrong or not begun:
            raise ValueError(f"text begins with {begun}: expected tokens of 0 to {self._model.vocab_size - 1}")
        if new_tokens < 1 or len(begun) + new_tokens > self.slots + 1:
            raise ValueError(
                f"{new_tokens} new tokens behind {len(begun)}: expected 1 to {self.slots + 1 - len(begun)} in "
                f"{self.slots} slots"
            )
        return self._stream(inputs, new_tokens, begun, sampling, list(stop), padding)

    def _stream(
        self,
        inputs: Mapping[str, np.ndarray],
        new_tokens: int,
        start: tuple[int, ...],
        sampling: Sampling | None,
        stops: list[int],
        padding: int,
    ) -> Iterator[np.ndarray]:
        rows = len(next(iter(inputs.values())))
        filled = -(-rows // self._model.row_multiple) * self._model.row_multiple
        given = {name: _filled(value, filled) for name, value in inputs.items()}
        memory, cache = self.encode(self.params, given)
        random = np.random.default_rng(None if sampling is None else sampling.seed)
        unfinished, tokens = np.ones(rows, bool), np.zeros(filled, np.int32)
        for position in range(len(start) + new_tokens - 1):
            if position < len(start):
                tokens[:] = start[position]
            positions = np.full(filled, position, np.int32)
            logits, cache = self.decode(self.params, tokens.copy(), positions, memory, cache)
            if position + 1 < len(start):
                continue
            scores = self._scores(logits, rows, first=position + 1 == len(start))
            chosen = likeliest(scores) if sampling is None else draw(scores, sampling, random)
            tokens[:rows] = np.where(unfinished, chosen, padding)
            yield tokens[:rows].copy()
            unfinished &= ~np.isin(chosen, stops)
            if not unfinished.any():
                return

    def _scores(self, logits: Any, rows: int, *, first: bool) -> np.ndarray:
        """Logits of tokens on the host, -inf for those that are never written."""
        scores = np.array(logits)[:rows, : self._model.vocab_size]
        never = [*self._model.never, *(self._model.never_first if first else ())]
        scores[:, never] = -np.inf
        return scores


def _filled(value: np.ndarray, rows: int) -> np.ndarray:
    """`value` with its first row again behind the last, up to `rows`."""
    return np.concatenate([value, np.repeat(value[:1], rows - len(value), axis=0)]) if rows > len(value) else value
