"""Where everything lies: images over the axis ``batch``, the width of each MLP over the axis ``model``.

As in Megatron-LM (Shoeybi et al., 2019, section 3): the first layer of an MLP is column-parallel, the second
row-parallel, so each of the two MLPs of a block needs one all-reduce. The rest is small and on every chip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jax.sharding import PartitionSpec as P

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from external_zoo.model import MixerConfig

_MLP = {
    "Dense_0": {"kernel": P(None, "model"), "bias": P("model")},
    "Dense_1": {"kernel": P("model", None), "bias": P()},
}


def param_specs(config: MixerConfig, mesh: Mesh) -> dict[str, Any]:
    """A tree of PartitionSpec that is a prefix of the parameters of ``Mixer(config)``."""
    block = {"LayerNorm_0": P(), "LayerNorm_1": P(), "token_mixing": _MLP, "channel_mixing": _MLP}
    blocks = {f"MixerBlock_{index}": block for index in range(config.num_hidden_layers)}
    return {"params": {"stem": P(), **blocks, "pre_head_layer_norm": P(), "head": P()}}


def input_specs(config: MixerConfig, mesh: Mesh) -> dict[str, P]:
    """Images over ``batch``."""
    return {"images": P("batch")}


def output_specs(config: MixerConfig, mesh: Mesh) -> dict[str, P]:
    """Logits over ``batch``."""
    return {"logits": P("batch")}


def collectives(config: MixerConfig, mesh: Mesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Of one forward pass on `mesh`."""
    return {"all-reduce": 2 * config.num_hidden_layers if mesh.shape["model"] > 1 else 0}
