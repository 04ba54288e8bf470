"""Parameters grown to what the chips of a mesh divide: zeros at the end of an axis, which add exactly 0 to a sum."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from zoo.text.embedding import shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax.sharding import Mesh

    from zoo.parts.sharding import Prepare

Config = TypeVar("Config", bound=Any)


class Growth(NamedTuple):
    """Which axis of a parameter grows to which size, and what is put there."""

    axis: int
    size: int
    filling: float = 0.0


def multiple(size: int, chips: int) -> int:
    """The least multiple of `chips` that is `size` or more."""
    return -(-size // chips) * chips


def fit(config: Config, mesh: Mesh) -> Config:
    """`config` with heads, inner units and, where it has a vocabulary, words that the chips on ``model`` divide.

    The `fit` of models whose config has the zoo's names, and `mesh`.
    """
    chips = mesh.shape["model"]
    grown = {}
    if hasattr(config, "vocab_padding"):
        grown["vocab_padding"] = multiple(config.vocab_size, chips) - config.vocab_size
    fitted: Config = replace(
        config,
        num_attention_heads=multiple(config.num_attention_heads, chips),
        intermediate_size=multiple(config.intermediate_size, chips),
        mesh=shape_of(mesh),
        **grown,
    )
    return fitted


def encoder_growths(heads: int, intermediate: int, tokens: int, no_token: float) -> dict[str, Growth]:
    """The growths of an encoder with a word table of `zoo.text.embedding`: to so many heads, inner units and tokens.

    no_token: the bias of the logits behind the vocabulary.
    """
    return {
        **layer_growths(heads, intermediate),
        "word/embedding": Growth(0, tokens),
        "decoder/bias": Growth(0, tokens, no_token),
    }


def layer_growths(heads: int, intermediate: int) -> dict[str, Growth]:
    """The growths of the layers of `zoo.layers.encoder`: to so many heads and inner units."""
    return {
        **{f"{module}/kernel": Growth(1, heads) for module in ("query", "key", "value")},
        **{f"{module}/bias": Growth(0, heads) for module in ("query", "key", "value")},
        "attention/kernel": Growth(0, heads),
        "up/kernel": Growth(1, intermediate),
        "up/bias": Growth(0, intermediate),
        "down/kernel": Growth(0, intermediate),
    }


def growing(growths: Mapping[str, Growth], replaced: Mapping[str, np.ndarray]) -> Prepare:
    """The function that grows a parameter as `growths` says, or gives the other values that `replaced` has for it.

    Both are by module and parameter, ``query/kernel``, wherever the module is. Other parameters stay as they are, and
    so does what has the size already.
    """

    def prepare(path: str, values: np.ndarray) -> np.ndarray:
        name = "/".join(path.split("/")[-2:])
        if name in replaced and replaced[name].shape != values.shape:
            return replaced[name]
        growth = growths.get(name)
        if growth is None or values.shape[growth.axis] >= growth.size:
            return values
        missing = growth.size - values.shape[growth.axis]
        widths = [(0, missing if axis == growth.axis else 0) for axis in range(values.ndim)]
        return np.pad(values, widths, constant_values=growth.filling)

    return prepare
