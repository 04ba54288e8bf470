"""The part of a model's description that says where its arrays lie on a mesh."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from jax.sharding import Mesh, PartitionSpec

    from zoo.parts.architecture import Inputs

Prepare: TypeAlias = Callable[[str, np.ndarray], np.ndarray]
"""(path of a parameter, its values as the checkpoint's config has them) -> its values as the fitted config has them.

The path is ``params/h_0/attn/q/kernel``. The values may still lie in a file: what needs no change is returned as it is.
"""


def _same_config(config: Any, mesh: Mesh) -> Any:
    return config


def _same_values(config: Any, mesh: Mesh) -> Prepare:
    return lambda path, values: values


def _no_collectives(config: Any, mesh: Mesh, inputs: Inputs) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """Where the arrays of a model lie on a mesh with the axes ``batch`` and ``model``.

    `fitted` is a config that `fit` has made for the mesh; `config` is one of the model's variants. ValueError where
    `meshes` holds something that is not a mesh.
    """

    meshes: tuple[str, ...]
    """Meshes that the model claims to run on, e.g. ``1x8``."""
    param_specs: Callable[[Any, Mesh], Any]
    """fitted, mesh -> tree of PartitionSpec like the parameters. A spec holds for everything below its place."""
    input_specs: Callable[[Any, Mesh], Mapping[str, PartitionSpec]]
    """fitted, mesh -> spec of each input, by name."""
    output_specs: Callable[[Any, Mesh], Mapping[str, PartitionSpec]]
    """fitted, mesh -> spec of each output, by name."""
    fit: Callable[[Any, Mesh], Any] = _same_config
    """config, mesh -> config of the program on that mesh: heads and vocabulary padded to what its chips divide."""
    prepare: Callable[[Any, Mesh], Prepare] = _same_values
    """config, mesh -> function that makes a parameter of `config` one of ``fit(config, mesh)``: it pads and copies on
    the host, exactly. It is called for one parameter at a time, in any order, perhaps not for all."""
    collectives: Callable[[Any, Mesh, Inputs], Mapping[str, int]] = _no_collectives
    """fitted, mesh, inputs -> kind of collective to count, in the program that XLA compiles for simulated chips."""
    card_collectives: Callable[[Any, Mesh, Inputs], Mapping[str, int]] | None = None
    """The same for the program that TT's compiler makes, where it needs others; say why. None: `collectives`."""

    def __post_init__(self) -> None:
        for mesh in self.meshes:
            MeshShape.parse(mesh)

    def declared(self, fitted: Any, mesh: Mesh, inputs: Inputs, *, card: bool) -> dict[str, int]:
        """The collectives to expect, without kinds of which there are none: of the card's program, or of XLA's."""
        ask = self.card_collectives if card and self.card_collectives is not None else self.collectives
        return {kind: count for kind, count in ask(fitted, mesh, inputs).items() if count}

    def param_spec_of(self, fitted: Any, mesh: Mesh) -> Callable[[str], PartitionSpec]:
        """path of a parameter -> its spec: the one of `param_specs` there or nearest above.

        The function raises ValueError where there is none.
        """
        specs = tree_by_path(self.param_specs(fitted, mesh))

        def spec_of(path: str) -> PartitionSpec:
            above = path
            while above not in specs and above:
                above = above.rpartition("/")[0]
            if above not in specs:
                raise ValueError(f"param_specs has nothing for {path}: give a spec for it, or for a place above it")
            spec: PartitionSpec = specs[above]
            return spec

        return spec_of


def bound(specs: Any, mesh: Mesh) -> Any:
    """A tree of NamedSharding on `mesh`, for a tree of PartitionSpec."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    return jax.tree.map(
        lambda spec: NamedSharding(mesh, spec), specs, is_leaf=lambda node: isinstance(node, PartitionSpec)
    )


def tree_by_path(tree: Any) -> dict[str, Any]:
    """Leaves of a tree of arrays, shapes or PartitionSpec by path, ``params/h_0/attn/q/kernel``; "" for a bare leaf."""
    import jax
    from jax.sharding import PartitionSpec

    pairs = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda node: isinstance(node, PartitionSpec))[0]
    return {jax.tree_util.keystr(keys, simple=True, separator="/"): leaf for keys, leaf in pairs}
