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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jax.sharding import PartitionSpec as P

from zoo.checkpoints.padding import multiple
from zoo.qwen2_5.model import Qwen2
from zoo.text.embedding import first_rows, shape_of
from zoo.text.generation import Decoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import AbstractMesh, Mesh

    from zoo.qwen2_5.model import Qwen2Config
    from zoo.registry import Prepare


class Heads(NamedTuple):
    """How heads lie on chips: `groups` of `size` heads of queries each, whose key-value head `copies` chips hold."""

    groups: int
    size: int
    copies: int


def heads_on(heads: int, kv_heads: int, chips: int) -> Heads:
    """The layout of `heads` in `kv_heads` groups on `chips`.

    Up to as many chips as groups: whole groups a chip. More: each group on an equal number of chips, its heads rounded
    up to a multiple of them. Groups of zeros are added where the chips ask for more.
    """
    size = heads // kv_heads
    if chips <= kv_heads:
        return Heads(-(-kv_heads // chips) * chips, size, 1)
    groups = next(count for count in range(kv_heads, chips + 1) if chips % count == 0)
    copies = chips // groups
    return Heads(groups, -(-size // copies) * copies, copies)


def fit(config: Qwen2Config, mesh: Mesh | AbstractMesh) -> Qwen2Config:
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


def prepare(config: Qwen2Config, mesh: Mesh | AbstractMesh) -> Prepare:
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


def param_specs(config: Qwen2Config, mesh: Mesh | AbstractMesh) -> dict[str, Any]:
    """A tree of PartitionSpec like the parameters of ``Qwen2(config)``."""
    chips, whole = config.axes, {"scale": P()}
    column, row = P(chips, None), P(None, chips)
    with_bias = {"weight": column, "bias": P(chips)}
    block = {
        "input_norm": whole,
        "attention": {"q": with_bias, "k": with_bias, "v": with_bias, "o": {"weight": row}},
        "post_attention_norm": whole,
        "mlp": {"gate": {"weight": column}, "up": {"weight": column}, "down": {"weight": row}},
    }
    layers = {f"layers_{index}": block for index in range(config.num_hidden_layers)}
    head = {} if config.tie_word_embeddings else {"head": {"weight": column}}
    return {"params": {"embed": {"embedding": column, "first_row": P(chips)}, **layers, "norm": whole, **head}}


def input_specs(config: Qwen2Config, mesh: Mesh | AbstractMesh) -> dict[str, P]:
    """Of inputs [batch, length]."""
    return dict.fromkeys(("input_ids", "attention_mask", "position_ids"), P(config.rows, None))


def output_specs(config: Qwen2Config, mesh: Mesh | AbstractMesh) -> dict[str, P]:
    """Of logits [batch, length, padded_vocab_size]: whole on each chip of a copy."""
    return {"logits": P(config.rows, None, None)}


def cache_specs(config: Qwen2Config) -> tuple[tuple[P, P], ...]:
    """Of the key-value cache, each part [batch, kv heads, slots, head_dim]."""
    part = P(config.rows, config.axes, None, None)
    return ((part, part),) * config.num_hidden_layers


def collectives(config: Qwen2Config, mesh: Mesh | AbstractMesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Kind to count, of one forward pass, prefill or step: two sums a layer, those of the embedding; the logits.

    The embedding and attention are summed along one axis of the mesh after the other, the MLP and the logits by XLA's
    partitioner at once.
    """
    axes, layers = len(config.summed_axes), config.num_hidden_layers
    return {"all-reduce": (axes + 1) * layers + axes, "all-gather": 1} if axes else {}


def card_collectives(config: Qwen2Config, mesh: Mesh | AbstractMesh, inputs: Mapping[str, Any]) -> dict[str, int]:
    """The same in the program of TT's compiler, which makes one collective per axis of whatever goes over two."""
    axes = len(config.summed_axes)
    return {"all-reduce": axes * (2 * config.num_hidden_layers + 1), "all-gather": axes} if axes else {}


def decoder(config: Qwen2Config, mesh: Mesh) -> Decoder:
    """The model of `config` on `mesh`, as generation sees it."""
    fitted = fit(config, mesh)
    return Decoder(
        module=Qwen2(fitted),
        name=config.name,
        vocab_size=config.vocab_size,
        max_position_embeddings=config.max_position_embeddings,
        row_multiple=fitted.copies,
        params=param_specs(fitted, mesh),
        rows=input_specs(fitted, mesh)["input_ids"],
        logits=P(fitted.rows, None),
        cache=cache_specs(fitted),
    )


def cache_bytes(config: Qwen2Config, mesh: Mesh | AbstractMesh, rows: int, slots: int) -> int:
    """Bytes of the key-value cache on each chip of `mesh`, of `rows` rows with `slots` positions."""
    fitted = fit(config, mesh)
    each = -(-rows // fitted.copies) * (fitted.num_key_value_heads // fitted.chips) * slots * fitted.head_dim
    return 2 * fitted.num_hidden_layers * each * (2 if fitted.dtype == "bfloat16" else 4)
