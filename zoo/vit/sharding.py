"""Where each parameter, input and output lies on a mesh, and what is padded so that the mesh divides it.

Images are spread over the axis ``batch``. Over ``model``, attention is spread by heads and the MLP by its inner units,
each column-parallel and then row-parallel as in Megatron-LM (Shoeybi et al., 2019, section 3): one all-reduce each.
What is left, patches, positions, normalisations and the head, is on every chip.

Heads and inner units grow to the next multiple of the chips on ``model``, by zeros, which add exactly 0 to every sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jax.sharding import PartitionSpec as P

from zoo.checkpoints.padding import fit as fit
from zoo.checkpoints.padding import growing, layer_growths
from zoo.layers.encoder import layer_specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.registry import Prepare
    from zoo.vit.model import ViTConfig


def param_specs(config: ViTConfig, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``ViT(config)``."""
    layers = {f"layer_{index}": layer_specs() for index in range(config.num_hidden_layers)}
    return {"params": {"patches": P(), **layers, "norm": P(), "classifier": P()}}


def input_specs(config: ViTConfig, mesh: Mesh) -> dict[str, P]:
    """Images over ``batch``."""
    return {"pixel_values": P("batch")}


def output_specs(config: ViTConfig, mesh: Mesh) -> dict[str, P]:
    """Images over ``batch``."""
    return {"logits": P("batch")}


def collectives(config: ViTConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """All-reduces: one after attention and one after the MLP of each layer."""
    return {"all-reduce": 2 * config.num_hidden_layers} if mesh.shape["model"] > 1 else {}


def prepare(config: ViTConfig, mesh: Mesh) -> Prepare:
    """The function that makes a parameter of ``ViT(config)`` one of ``ViT(fit(config, mesh))``."""
    fitted = fit(config, mesh)
    return growing(layer_growths(fitted.num_attention_heads, fitted.intermediate_size), {})
