"""Generation on a mesh: prompts of different lengths in one batch, two programs that are compiled once each.

Prompts are padded on the right and each row counts its own positions, which are its slots in the cache as well: what
stands behind a row's last token is overwritten before anything may attend to it, so that padding changes no number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from zoo.gpt2.model import GPT2
from zoo.gpt2.sampling import draw, likeliest
from zoo.gpt2.sharding import NEXT_LOGITS, ROWS, cache_specs, fit, param_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jax.sharding import Mesh

    from zoo.gpt2.model import Cache, GPT2Config
    from zoo.gpt2.sampling import Sampling

EACH = P("batch")
"""One number a row."""


class Generator:
    """Continues prompts of up to `prompt_slots` tokens, so that prompt and continuation fit into `slots`.

    config: a variant, not fitted. params: of the config fitted to `mesh`, from anywhere. jit: jax.jit, or ``tt_jit``.
    ValueError if the sizes contradict each other or the model's positions.
    """

    def __init__(
        self,
        config: GPT2Config,
        params: Any,
        mesh: Mesh,
        *,
        prompt_slots: int,
        slots: int,
        jit: Callable[..., Any] = jax.jit,
    ) -> None:
        if not 1 <= prompt_slots <= slots <= config.positions:
            raise ValueError(
                f"prompt_slots {prompt_slots} and slots {slots}: expected 1 <= prompt_slots <= slots <= the "
                f"{config.positions} positions of {config.name}"
            )
        self.config = config
        self.prompt_slots = prompt_slots
        self.slots = slots
        self._row_multiple = mesh.shape["batch"]
        module = GPT2(fit(config, mesh))

        def placed(specs: Any) -> Any:
            return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=lambda x: isinstance(x, P))

        def prefill(params: Any, input_ids: jax.Array, last: jax.Array) -> tuple[jax.Array, Cache]:
            found: Any = module.apply(params, input_ids, last, slots, method="prefill")
            return cast("tuple[jax.Array, Cache]", found)

        def decode(params: Any, tokens: jax.Array, positions: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
            found: Any = module.apply(params, tokens, positions, cache, method="decode")
            return cast("tuple[jax.Array, Cache]", found)

        weights, caches = placed(param_specs(config)), placed(cache_specs(config))
        self.params = jax.device_put(params, weights)
        outputs = (NamedSharding(mesh, NEXT_LOGITS), caches)
        row, each = placed(ROWS), placed(EACH)
        self.prefill = jit(prefill, in_shardings=(weights, row, each), out_shardings=outputs)
        # The cache is written where it lies: each step gives up the one before.
        self.decode = jit(
            decode, in_shardings=(weights, each, each, caches), out_shardings=outputs, donate_argnums=(3,)
        )

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        new_tokens: int,
        *,
        sampling: Sampling | None = None,
        stop: int | None = None,
        padding: int = 0,
    ) -> np.ndarray:
        """The next `new_tokens` of each prompt, int32 [prompts, new_tokens]; the likeliest, or drawn by `sampling`.

        A row that gave the token `stop` goes on with `padding`. All rows stopped: the rest is `padding`.
        """
        lengths = self._check(prompts, new_tokens)
        rows = -(-len(prompts) // self._row_multiple) * self._row_multiple
        input_ids = np.zeros((rows, self.prompt_slots), np.int32)
        for row, prompt in enumerate(prompts):
            input_ids[row, : len(prompt)] = prompt
        positions = np.zeros(rows, np.int32)
        positions[: len(prompts)] = lengths - 1
        random = np.random.default_rng(None if sampling is None else sampling.seed)
        result = np.full((len(prompts), new_tokens), padding, np.int32)
        running = np.ones(len(prompts), bool)
        logits, cache = self.prefill(self.params, input_ids, positions)
        for step in range(new_tokens):
            # Padded logits are no tokens, and rows beyond the prompts nobody's.
            scores = np.asarray(logits)[: len(prompts), : self.config.vocab]
            chosen = likeliest(scores) if sampling is None else draw(scores, sampling, random)
            result[running, step] = chosen[running]
            if stop is not None:
                running &= chosen != stop
            if step + 1 == new_tokens or not running.any():
                break
            tokens = np.zeros(rows, np.int32)
            tokens[: len(prompts)] = result[:, step]
            positions = positions + 1
            logits, cache = self.decode(self.params, tokens, positions, cache)
        return result

    def _check(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> np.ndarray:
        """Lengths of the prompts. ValueError if there are none, or one does not fit."""
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
            wrong = [token for token in prompt if not 0 <= token < self.config.vocab]
            if wrong:
                raise ValueError(f"prompt {number} has token {wrong[0]}: expected 0 to {self.config.vocab - 1}")
        return np.array([len(prompt) for prompt in prompts], np.int32)
