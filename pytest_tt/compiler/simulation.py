"""The same program as XLA compiled it for the simulated chips: what an emulated one is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, Sharding

if TYPE_CHECKING:
    from collections.abc import Sequence

# Floating types that XLA rounds to after each op, as the chips do but not in the same places.
_LOW_PRECISION = re.compile(r"tensor<(?:\d+x)*(?:bf16|f16|f8\w+)>")


@dataclass(frozen=True)
class Simulation:
    """A program on simulated chips. `mesh` has the chips that execute it, as rows and columns."""

    jaxpr: Any
    lowered: Any
    mesh: Mesh

    @classmethod
    def of(cls, traced: Any, lowered: Any, compiled: Any, mesh: Mesh) -> Simulation:
        """That of jax.stages.Traced, Lowered and Compiled in a test on `mesh`."""
        shardings = [*_shardings(compiled.input_shardings), *_shardings(compiled.output_shardings)]
        return cls(traced.jaxpr, lowered, _mesh(shardings, mesh))

    @cached_property
    def text(self) -> str:
        """Its StableHLO."""
        return str(self.lowered.as_text())

    @property
    def rounds(self) -> bool:
        """Whether it holds floating types narrower than float32, so that the simulation itself rounds."""
        return _LOW_PRECISION.search(self.text) is not None


def _shardings(tree: Any) -> list[Sharding]:
    leaves = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, Sharding))
    return [leaf for leaf in leaves if isinstance(leaf, Sharding)]


def _mesh(shardings: Sequence[Sharding], mesh: Mesh) -> Mesh:
    """The test's mesh; for a program on other chips or axes, the mesh of its arrays, or a row of their chips."""
    chips = shardings[0].device_set if shardings else set(mesh.devices.flat)
    named = [sharding.mesh for sharding in shardings if isinstance(sharding, NamedSharding)]
    own = next((each for each in named if isinstance(each, Mesh) and each.devices.ndim == 2), None)
    if own is not None:
        return own
    if chips == set(mesh.devices.flat):
        return mesh
    row = np.array(sorted(chips, key=lambda chip: chip.id), dtype=object).reshape(1, -1)
    return Mesh(row, mesh.axis_names, axis_types=mesh.axis_types)
