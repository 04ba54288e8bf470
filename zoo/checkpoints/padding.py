"""Parameters grown to what the chips of a mesh divide: zeros at the end of an axis, which add exactly 0 to a sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_tt.compare import flatten
from zoo.checkpoints.weights import nested

if TYPE_CHECKING:
    from collections.abc import Mapping


class Growth(NamedTuple):
    """Which axis of a parameter grows to which size, and what is put there."""

    axis: int
    size: int
    filling: float = 0.0


def multiple(size: int, chips: int) -> int:
    """The least multiple of `chips` that is `size` or more."""
    return -(-size // chips) * chips


def encoder_growths(heads: int, intermediate: int, tokens: int, no_token: float) -> dict[str, Growth]:
    """For an encoder of `zoo.text.embedding`'s words: how many heads, inner units, and words and logits there shall be.

    `no_token` is the bias of a logit that is of no token.
    """
    return {
        **{f"{module}/kernel": Growth(1, heads) for module in ("query", "key", "value")},
        **{f"{module}/bias": Growth(0, heads) for module in ("query", "key", "value")},
        "attention/kernel": Growth(0, heads),
        "up/kernel": Growth(1, intermediate),
        "up/bias": Growth(0, intermediate),
        "down/kernel": Growth(0, intermediate),
        "word/embedding": Growth(0, tokens),
        "decoder/bias": Growth(0, tokens, no_token),
    }


def grown(
    params: Mapping[str, Any], growths: Mapping[str, Growth], replaced: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """`params` (nested, NumPy leaves, all or some of a model's) as `growths` says, or `replaced` by other values.

    Those are by module and parameter, ``query/kernel``, wherever in the tree the module is. Others stay as they are,
    and so does what has the size already.
    """

    def leaf(path: str, values: np.ndarray) -> np.ndarray:
        name = "/".join(path.split("/")[-2:])
        if name in replaced and replaced[name].shape != values.shape:
            return replaced[name]
        growth = growths.get(name)
        if growth is None or values.shape[growth.axis] >= growth.size:
            return values
        missing = growth.size - values.shape[growth.axis]
        widths = [(0, missing if axis == growth.axis else 0) for axis in range(values.ndim)]
        return np.pad(values, widths, constant_values=growth.filling)

    return nested({path: leaf(path, values) for path, values in flatten(params).items()})
