"""Generation by GPT-2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from zoo.gpt2.model import GPT2
from zoo.gpt2.sharding import NEXT_LOGITS, ROWS, cache_specs, fit, param_specs
from zoo.text import generation

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import Mesh

    from zoo.gpt2.model import GPT2Config


class Generator(generation.Generator):
    """`zoo.text.generation.Generator` of a variant of GPT-2.

    config: not fitted. params: of the config fitted to `mesh`.
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
        decoder = generation.Decoder(
            module=GPT2(fit(config, mesh)),
            name=config.name,
            vocab_size=config.vocab_size,
            max_position_embeddings=config.max_position_embeddings,
            row_multiple=mesh.shape["batch"],
            params=param_specs(config, mesh),
            rows=ROWS,
            logits=NEXT_LOGITS,
            cache=cache_specs(config),
        )
        super().__init__(decoder, params, mesh, prompt_slots=prompt_slots, slots=slots, jit=jit)
