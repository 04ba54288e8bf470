"""Where arrays lie: images and logits are spread over every chip of the mesh, parameters are on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jax.sharding import PartitionSpec as P

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from zoo.cnn.model import CNNConfig

BATCH = P(("batch", "model"))
"""Data parallelism over all chips, whatever the shape of the mesh: the batch must divide by their number."""


def param_specs(config: CNNConfig, mesh: Mesh) -> P:
    """PartitionSpec of all parameters: replicated."""
    return P()


def input_specs(config: CNNConfig, mesh: Mesh) -> dict[str, P]:
    """Images: a share of the batch on each chip."""
    return {"pixels": BATCH}


def output_specs(config: CNNConfig, mesh: Mesh) -> dict[str, P]:
    """Logits: on the chip that has the image."""
    return {"logits": BATCH}
