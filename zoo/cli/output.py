"""One output of a model for a demo: its weights loaded, its program compiled, and how long that took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from zoo.cli.demo import Measured, measured

if TYPE_CHECKING:
    from zoo.cli.demo import Stage


def output_of(stage: Stage, config: Any, inputs: dict[str, np.ndarray], output: str) -> Measured[np.ndarray]:
    """One output of the model of `config`, on the host; of `inputs` it gets those that it takes."""
    architecture, sharding, mesh, weights = stage.architecture, stage.sharding, stage.mesh, stage.load(config)
    fitted = sharding.fit(config, mesh)
    whole = architecture.forward(architecture.build(fitted))
    input_specs = sharding.input_specs(fitted, mesh)
    program = jax.jit(
        lambda weights, inputs: whole(weights, inputs)[output],
        in_shardings=(None, {name: NamedSharding(mesh, spec) for name, spec in input_specs.items()}),
        out_shardings=NamedSharding(mesh, sharding.output_specs(fitted, mesh)[output]),
    )
    taken = {name: inputs[name] for name in input_specs}
    return measured(lambda: np.asarray(program(weights, taken)))
