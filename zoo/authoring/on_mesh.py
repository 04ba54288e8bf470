"""A case of a model on a mesh of simulated chips, outside pytest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.registry import Model


@dataclass(frozen=True, slots=True)
class OnMesh:
    """What a case gave on a mesh, and what it was compiled to."""

    outputs: dict[str, np.ndarray]
    collectives: dict[str, int] | None
    stablehlo: str


def mesh_of(mesh: str) -> Mesh:
    """Simulated chips, as many as the largest mesh that is asked for first."""
    from pytest_tt import open_chips

    return open_chips(mesh, backend="sim").mesh


def computed_on_mesh(
    model: Model, case: str, name: str, weights: Mapping[str, Any], inputs: Mapping[str, Any]
) -> OnMesh:
    """Compute `case` on the mesh `name` as the contract test does: parameters prepared and placed, shardings stated.

    ValueError where parameters, specs and mesh do not fit one another.
    """
    import jax
    from jax.sharding import NamedSharding

    from pytest_tt.compiler.program import count_collectives
    from zoo.checkpoints.placement import place_params
    from zoo.programs import jitted

    sharding, config = model.sharding, model.config_of(case)
    mesh = mesh_of(name)
    fitted = sharding.fit(config, mesh)

    input_specs = sharding.input_specs(fitted, mesh)
    if set(input_specs) != set(inputs):
        raise ValueError(f"input_specs are of {', '.join(sorted(input_specs))}; the inputs are {', '.join(inputs)}")
    placed = {name: jax.device_put(value, NamedSharding(mesh, input_specs[name])) for name, value in inputs.items()}
    params = place_params(model, config, mesh, weights)
    lowered = jitted(model, fitted, mesh).lower(params, placed)
    compiled = lowered.compile()
    outputs = {name: np.asarray(value) for name, value in compiled(params, placed).items()}
    return OnMesh(model.selected(case, outputs), count_collectives(compiled), str(lowered.as_text()))
