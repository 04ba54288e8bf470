"""A language model on a mesh that continues and scores texts of any length with few compiled programs.

A model of the zoo needs the field `decoder` for it, see `zoo.model.Model`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from zoo.text.generation import Generator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from jax.sharding import Mesh

    from zoo.registry import Model
    from zoo.text.generation import Tokens
    from zoo.text.sampling import Sampling

MASKED = -1e9
"""Logit of rows that are not tokens."""

SHORTEST = 32
LOGITS = 1 << 28
"""Bytes of logits on a chip above which a scored batch gets fewer rows."""


def bucket(length: int) -> int:
    """The slots for texts of `length` tokens: powers of two from `SHORTEST` on, and the numbers half-way between."""
    size = SHORTEST
    while size < length:
        half_way = size + size // 2
        size = half_way if length <= half_way else 2 * size
    return size


class LanguageModel:
    """A model with its parameters on the chips of `mesh`.

    config: not fitted. params: as `zoo.checkpoints.placement` puts them there. rows: texts in one
    batch, rounded up if the mesh shards rows. jit: jax.jit, or ``tt_jit``. ValueError if the model writes no text.
    """

    def __init__(
        self,
        model: Model,
        config: Any,
        params: Any,
        mesh: Mesh,
        *,
        rows: int = 8,
        jit: Callable[..., Any] = jax.jit,
    ) -> None:
        if model.decoder is None:
            raise ValueError(f"{model.name} writes no text: its description has no decoder")
        self.config = config
        self.rows = rows
        self.written = 0
        """Tokens written so far."""
        self._decoder, self._params, self._mesh, self._jit = model.decoder(config, mesh), params, mesh, jit
        self._architecture, self._sharding = model.architecture, model.sharding
        self._generators: dict[tuple[int, int], Generator] = {}
        self._scored: set[tuple[int, int]] = set()

    @property
    def programs(self) -> int:
        """Programs compiled so far: two for each bucket of prompts, one for each of texts to score."""
        return 2 * len(self._generators) + len(self._scored)

    def continued(
        self,
        prompts: Sequence[Tokens],
        new_tokens: int,
        *,
        ended: Callable[[int, Sequence[int]], bool],
        stops: Collection[int] = (),
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, list[int]]]:
        """Number and continuation of each prompt, up to `new_tokens` tokens, as batches are done: the longest first.

        A continuation ends before a token of `stops`, and where `ended` (number of the prompt, its continuation so
        far) is true. ValueError for empty prompts, and if one with `new_tokens` exceeds the model's positions.
        """
        order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
        for batch in _batches(order, self.rows):
            generator = self._generator(len(prompts[batch[0]]), new_tokens)
            # Repeated prompts fill the batch, so that the program keeps its shape.
            filled = [*batch, *[batch[-1]] * (min(self.rows, len(prompts)) - len(batch))]
            found: list[list[int]] = [[] for _ in batch]
            running = set(range(len(batch)))
            given = [prompts[number] for number in filled]
            for tokens in generator.stream(given, new_tokens, sampling=sampling, stop=sorted(stops)):
                for row in sorted(running):
                    token = int(tokens[row])
                    if token not in stops:
                        found[row].append(token)
                    if token in stops or ended(batch[row], found[row]):
                        running.discard(row)
                if not running:
                    break
            self.written += sum(map(len, found))
            yield from zip(batch, found, strict=True)

    def _generator(self, longest: int, new_tokens: int) -> Generator:
        positions = self.config.max_position_embeddings
        if longest + new_tokens - 1 > positions:
            raise ValueError(f"a prompt of {longest} tokens and {new_tokens} new ones need more than {positions} slots")
        prompt_slots = min(bucket(longest), positions)
        slots = min(bucket(prompt_slots + new_tokens), positions)
        made = self._generators.get((prompt_slots, slots))
        if made is None:
            made = Generator(
                self._decoder, self._params, self._mesh, prompt_slots=prompt_slots, slots=slots, jit=self._jit
            )
            self._generators[prompt_slots, slots] = made
        return made

    def scored(self, texts: Sequence[Tokens]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Number of each text and, for each token after its first, the logarithm of its probability and whether it is
        the likeliest, float32 and bool [length - 1]; the longest texts first.

        ValueError for texts of fewer than two tokens, or more than one above the model's positions.
        """
        for text in texts:
            if not 2 <= len(text) <= self.config.max_position_embeddings + 1:
                raise ValueError(
                    f"a text of {len(text)} tokens: expected 2 to {self.config.max_position_embeddings + 1}"
                )
        order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
        start = 0
        while start < len(order):
            length = min(bucket(len(texts[order[start]]) - 1), self.config.max_position_embeddings)
            most = max(1, LOGITS // (4 * length * self.config.vocab_size))
            count = min(self.rows, len(texts), most)
            batch = order[start : start + count]
            start += count
            logs, likeliest = self._scores([texts[number] for number in batch], count, length)
            for row, number in enumerate(batch):
                known = len(texts[number]) - 1
                yield number, logs[row, :known], likeliest[row, :known]

    def _scores(self, texts: Sequence[Tokens], rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        rows = -(-rows // self._row_multiple) * self._row_multiple
        self._scored.add((rows, length))
        tokens, mask = np.zeros((rows, length + 1), np.int32), np.zeros((rows, length), np.int32)
        mask[:, 0] = 1  # a row without text must attend to something too
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = text
            mask[row, : len(text) - 1] = 1
        positions = np.broadcast_to(np.arange(length, dtype=np.int32), mask.shape)
        inputs = {"input_ids": tokens[:, :-1], "attention_mask": mask, "position_ids": positions}
        placed = jax.device_put((inputs, tokens[:, 1:]), (self._input_shardings, self._row_sharding))
        logs, likeliest = self._score(self._params, *placed)
        return np.asarray(logs), np.asarray(likeliest) != 0

    @cached_property
    def _fitted(self) -> Any:
        return self._sharding.fit(self.config, self._mesh)

    @cached_property
    def _input_shardings(self) -> dict[str, NamedSharding]:
        specs = self._sharding.input_specs(self._fitted, self._mesh)
        return {name: NamedSharding(self._mesh, spec) for name, spec in specs.items()}

    @property
    def _row_sharding(self) -> NamedSharding:
        return self._input_shardings["input_ids"]

    @cached_property
    def _row_multiple(self) -> int:
        axes = (*self._row_sharding.spec, None)[0] or ()
        return math.prod(self._mesh.shape[axis] for axis in ((axes,) if isinstance(axes, str) else axes))

    @cached_property
    def _score(self) -> Any:
        """(params, inputs, the token after each [rows, length]) -> log of its probability, and 1 for the likeliest."""
        forward = self._architecture.forward(self._architecture.build(self._fitted))
        logits_spec = self._sharding.output_specs(self._fitted, self._mesh)["logits"]
        vocab = self.config.vocab_size

        def score(params: Any, inputs: Any, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
            # Whole rows on each chip: the TT compiler counts a sharded iota wrongly.
            whole = NamedSharding(self._mesh, P(*logits_spec[:2]))
            logits = jax.lax.with_sharding_constraint(forward(params, inputs)["logits"], whole)
            tokens = jnp.arange(logits.shape[-1])
            logits = jnp.where(tokens < vocab, logits, MASKED)
            highest = logits.max(axis=-1)
            total = jnp.log(jnp.exp(logits - highest[..., None]).sum(axis=-1))
            chosen = jnp.where(tokens == targets[..., None], logits, 0.0).sum(axis=-1)
            return chosen - highest - total, (chosen >= highest).astype(jnp.int32)

        return self._jit(score, out_shardings=(self._row_sharding, self._row_sharding))


def _batches(order: Sequence[int], rows: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(order), rows):
        yield order[start : start + rows]
