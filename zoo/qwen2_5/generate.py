"""Generation by Qwen2.5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import PartitionSpec as P

from zoo.qwen2_5.model import Qwen2
from zoo.qwen2_5.sharding import cache_specs, fit, input_specs, param_specs
from zoo.text import generation

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.sharding import Mesh

    from zoo.qwen2_5.model import Qwen2Config


class Generator(generation.Generator):
    """`zoo.text.generation.Generator` of a variant of Qwen2.5.

    config: not fitted. params: of the config fitted to `mesh`.
    """

    def __init__(
        self,
        config: Qwen2Config,
        params: Any,
        mesh: Mesh,
        *,
        prompt_slots: int,
        slots: int,
        jit: Callable[..., Any] = jax.jit,
    ) -> None:
        fitted = fit(config, mesh)
        decoder = generation.Decoder(
            module=Qwen2(fitted),
            name=config.name,
            vocab_size=config.vocab_size,
            max_position_embeddings=config.max_position_embeddings,
            row_multiple=fitted.copies,
            params=param_specs(fitted, mesh),
            rows=input_specs(fitted, mesh)["input_ids"],
            logits=P(fitted.rows, None),
            cache=cache_specs(fitted),
        )
        super().__init__(decoder, params, mesh, prompt_slots=prompt_slots, slots=slots, jit=jit)
