"""Which dimension of each parameter lies across the chips of the ``model`` axis.

Layers alternate as in Megatron-LM (Shoeybi et al., 2019, section 3): an even layer is column-parallel (each chip has
some outputs and all inputs, so nothing is exchanged), an odd one row-parallel (each chip has the inputs that the
layer before left on it; the partial results are summed over the chips: one all-reduce).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jax.sharding import PartitionSpec as P

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.mlp.model import MLPConfig


def column_parallel(layer: int) -> bool:
    """Whether layer number `layer` leaves its outputs spread over the ``model`` axis."""
    return layer % 2 == 0


def param_specs(config: MLPConfig, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``MLP(config)``."""
    layers: dict[str, Any] = {}
    for index in range(len(config.widths) - 1):
        column = column_parallel(index)
        layer = {"kernel": P(None, "model") if column else P("model", None)}
        if config.bias:
            layer["bias"] = P("model") if column else P()
        layers[f"Dense_{index}"] = layer
    return {"params": layers}


def input_specs(config: MLPConfig, mesh: Mesh) -> dict[str, P]:
    """Rows over the ``batch`` axis, every feature on each chip of the ``model`` axis."""
    return {"x": P("batch", None)}


def output_specs(config: MLPConfig, mesh: Mesh) -> dict[str, P]:
    """Spread over both axes if the last layer is column-parallel, else over ``batch``."""
    return {"output": P("batch", "model") if column_parallel(len(config.widths) - 2) else P("batch", None)}


def collectives(config: MLPConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces of one forward pass: one for each row-parallel layer."""
    return {"all-reduce": (len(config.widths) - 1) // 2} if mesh.shape["model"] > 1 else {}
