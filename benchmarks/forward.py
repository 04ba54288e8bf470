"""The zoo's side of a forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import jax
    import numpy as np
    from jax.sharding import Mesh

    from zoo.registry import Model


def compiled_forward(
    model: Model, config: Any, mesh: Mesh, params: Any, inputs: Mapping[str, np.ndarray]
) -> Callable[[], dict[str, jax.Array]]:
    """The model on `mesh`, compiled: a call computes the outputs of `inputs`, which are placed once, and waits.

    config: not fitted; params: on the chips, prepared for `mesh`.
    """
    import jax
    from jax.sharding import NamedSharding

    architecture, sharding = model.architecture, model.sharding
    fitted = sharding.fit(config, mesh)

    def placed(specs: Mapping[str, Any]) -> dict[str, NamedSharding]:
        return {name: NamedSharding(mesh, spec) for name, spec in specs.items()}

    given = jax.device_put(dict(inputs), placed(sharding.input_specs(fitted, mesh)))
    forward = architecture.forward(architecture.build(fitted))
    program = jax.jit(forward, out_shardings=placed(sharding.output_specs(fitted, mesh)))
    compiled = program.lower(params, given).compile()

    def run() -> dict[str, jax.Array]:
        outputs: dict[str, jax.Array] = jax.block_until_ready(compiled(params, given))
        return outputs

    return run
