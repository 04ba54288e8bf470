"""Where everything lies: rows over ``batch``, heads, the MLP's width and the vocabulary over the chips of a copy.

As in Megatron-LM (Shoeybi et al., 2019, section 3): q, k, v, gate and up are column-parallel, o and down row-parallel,
the embedding and the head spread by vocabulary. A copy of the weights lies over the axis ``model`` or over both, as the
config's `spread` says. Heads stay whole: each chip has heads of queries and exactly the heads of keys and values that
these need. Where that does not come out even, groups get zero heads and key-value heads are copied (`heads_on`).

Zeros change no number: what a zero head mixes meets zero columns of o, silu(0) * 0 is 0, and a row of the vocabulary's
padding is never looked up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jax.sharding import PartitionSpec as P

from zoo.checkpoints.padding import multiple
from zoo.layers.heads import heads_on
from zoo.parts.sharding import Sharding
from zoo.text.embedding import first_rows, shape_of
from zoo.text.generation import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jax.sharding import AbstractMesh, Mesh

    from zoo.layers.decoder_config import DecoderConfig
    from zoo.parts.sharding import Prepare


Config = TypeVar("Config", bound="DecoderConfig")


def fit(config: Config, mesh: Mesh | AbstractMesh) -> Config:
    """The config of the program on `mesh`: heads, the MLP's width and vocabulary padded to what its chips divide."""
    config = replace(config, mesh=shape_of(mesh))
    chips = config.chips
    heads = heads_on(config.num_attention_heads, config.num_key_value_heads, chips)
    return replace(
        config,
        num_attention_heads=heads.groups * heads.size,
        num_key_value_heads=heads.groups * heads.copies,
        intermediate_size=multiple(config.intermediate_size, chips),
        vocab_padding=multiple(config.vocab_size, chips) - config.vocab_size,
    )


def prepare(config: DecoderConfig, mesh: Mesh | AbstractMesh) -> Prepare:
    """The function that gives a parameter of `config` the zeros and copies that ``fit(config, mesh)`` asks for."""
    fitted = fit(config, mesh)
    layout = heads_on(config.num_attention_heads, config.num_key_value_heads, fitted.chips)
    width, inner = config.head_dim, fitted.intermediate_size - config.intermediate_size
    groups = layout.groups - config.num_key_value_heads
    size = layout.size - config.num_attention_heads // config.num_key_value_heads

    def queries(leaf: np.ndarray, axis: int) -> np.ndarray:
        """Heads along `axis`: zero heads behind those of each group, zero groups behind the last."""
        shape = leaf.shape
        split = leaf.reshape(*shape[:axis], config.num_key_value_heads, -1, *shape[axis + 1 :])
        return _padded(_padded(split, axis, groups), axis + 1, size * width).reshape(
            *shape[:axis], -1, *shape[axis + 1 :]
        )

    def keys(leaf: np.ndarray) -> np.ndarray:
        """Each head as often as there are chips that need it, zero heads behind the last."""
        split = leaf.reshape(config.num_key_value_heads, width, *leaf.shape[1:])
        return np.repeat(_padded(split, 0, groups), layout.copies, axis=0).reshape(-1, *leaf.shape[1:])

    def fitting(path: str, leaf: np.ndarray) -> np.ndarray:
        *_, layer, name = path.split("/")
        if name == "first_row":
            return first_rows(fitted.padded_vocab_size, fitted.chips)
        if layer == "q" and (groups or size):
            return queries(leaf, 0)
        if layer == "o" and (groups or size):
            return queries(leaf, 1)
        if layer in ("k", "v") and (groups or layout.copies > 1):
            return keys(leaf)
        if layer in ("gate", "up", "down"):
            return _padded(leaf, int(layer == "down"), inner)
        if layer in ("embed", "head"):
            return _padded(leaf, 0, fitted.vocab_padding)
        return leaf

    return fitting


def _padded(leaf: np.ndarray, axis: int, count: int) -> np.ndarray:
    """`count` zeros behind the last along `axis`; the leaf itself for none."""
    return np.pad(leaf, [(0, count if at == axis else 0) for at in range(leaf.ndim)]) if count else leaf


def param_specs(config: DecoderConfig, mesh: Mesh | AbstractMesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of the model of `config`."""
    chips, whole = config.axes, {"scale": P()}
    column, row = P(chips, None), P(None, chips)
    heads = {"weight": column, "bias": P(chips)} if config.biased_heads else {"weight": column}
    head_norms = {"q_norm": whole, "k_norm": whole} if config.normed_heads else {}
    block = {
        **dict.fromkeys(config.norms, whole),
        "attention": {"q": heads, "k": heads, "v": heads, "o": {"weight": row}, **head_norms},
        "mlp": {"gate": {"weight": column}, "up": {"weight": column}, "down": {"weight": row}},
    }
    layers = {f"layers_{index}": block for index in range(config.num_hidden_layers)}
    head = {} if config.tie_word_embeddings else {"head": {"weight": column}}
    return {"params": {"embed": {"embedding": column, "first_row": P(chips)}, **layers, "norm": whole, **head}}


def input_specs(config: DecoderConfig, mesh: Mesh | AbstractMesh) -> dict[str, P]:
    """Of inputs [batch, length]."""
    return dict.fromkeys(("input_ids", "attention_mask", "position_ids"), P(config.rows, None))


def output_specs(config: DecoderConfig, mesh: Mesh | AbstractMesh) -> dict[str, P]:
    """Of logits [batch, length, padded_vocab_size]: whole on each chip of a copy."""
    return {"logits": P(config.rows, None, None)}


def cache_specs(config: DecoderConfig) -> tuple[tuple[P, P], ...]:
    """Of the key-value cache, each part [batch, kv heads, slots, head_dim]."""
    part = P(config.rows, config.axes, None, None)
    return ((part, part),) * config.num_hidden_layers


def collectives(config: DecoderConfig, mesh: Mesh | AbstractMesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Kind to count, of one forward pass, prefill or step: two sums a layer, those of the embedding; the logits.

    The embedding and attention are summed along one axis of the mesh after the other, and logits gathered so; the MLP
    is summed by XLA's partitioner at once.
    """
    axes, layers = len(config.summed_axes), config.num_hidden_layers
    return {"all-reduce": (axes + 1) * layers + axes, "all-gather": axes} if axes else {}


def card_collectives(config: DecoderConfig, mesh: Mesh | AbstractMesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """The same in the program of TT's compiler, which makes one collective per axis of whatever goes over two."""
    axes = len(config.summed_axes)
    return {"all-reduce": axes * (2 * config.num_hidden_layers + 1), "all-gather": axes} if axes else {}


def decoder_of(build: Callable[[Any], Any], config: DecoderConfig, mesh: Mesh) -> Decoder:
    """The model of `config` on `mesh`, as generation sees it. build: config -> module."""
    fitted = fit(config, mesh)
    return Decoder(
        module=build(fitted),
        name=config.name,
        vocab_size=config.vocab_size,
        max_position_embeddings=config.max_position_embeddings,
        row_multiple=fitted.copies,
        params=param_specs(fitted, mesh),
        rows=input_specs(fitted, mesh)["input_ids"],
        logits=P(fitted.rows, None),
        cache=cache_specs(fitted),
    )


def cache_bytes(config: DecoderConfig, mesh: Mesh | AbstractMesh, rows: int, slots: int) -> int:
    """Bytes of the key-value cache on each chip of `mesh`, of `rows` rows with `slots` positions."""
    fitted = fit(config, mesh)
    each = -(-rows // fitted.copies) * (fitted.num_key_value_heads // fitted.chips) * slots * fitted.head_dim
    return 2 * fitted.num_hidden_layers * each * (2 if fitted.dtype == "bfloat16" else 4)


SHARDING = Sharding(
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "1x16", "1x32", "8x4"),
    param_specs=param_specs,
    input_specs=input_specs,
    output_specs=output_specs,
    fit=fit,
    prepare=prepare,
    collectives=collectives,
    card_collectives=card_collectives,
)
"""Of a model's description."""
