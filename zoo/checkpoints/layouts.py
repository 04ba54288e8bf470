"""PyTorch's layout of dense layers as Flax's, for key maps of models whose config has `heads` and `head_size`.

PyTorch has [outputs, inputs], Flax [inputs, outputs]; around attention ours have the heads as an axis of their own,
which is what is spread over the chips. Views: nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def transposed(tensor: np.ndarray, config: Any) -> np.ndarray:
    """Any dense layer: [outputs, inputs] to [inputs, outputs]."""
    return tensor.T


def to_heads(tensor: np.ndarray, config: Any) -> np.ndarray:
    """Queries, keys or values: [head * head_size, inputs] to [inputs, head, head_size]."""
    return tensor.T.reshape(tensor.shape[1], config.heads, config.head_size)


def bias_to_heads(tensor: np.ndarray, config: Any) -> np.ndarray:
    """Their bias: [head * head_size] to [head, head_size]."""
    return tensor.reshape(config.heads, config.head_size)


def from_heads(tensor: np.ndarray, config: Any) -> np.ndarray:
    """What is behind attention: [outputs, head * head_size] to [head, head_size, outputs]."""
    return tensor.T.reshape(config.heads, config.head_size, tensor.shape[0])


def first_row(tensor: np.ndarray, config: Any) -> np.ndarray:
    """For any table of `zoo.text.embedding`, as a checkpoint has it: on one chip, whose first row is 0."""
    return np.zeros(1, np.int32)
