"""PyTorch's layout of dense layers as Flax's, for key maps of configs with `num_attention_heads` and `head_dim`.

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
    """Queries, keys or values: [head * head_dim, inputs] to [inputs, head, head_dim]."""
    return tensor.T.reshape(tensor.shape[1], config.num_attention_heads, config.head_dim)


def bias_to_heads(tensor: np.ndarray, config: Any) -> np.ndarray:
    """Their bias: [head * head_dim] to [head, head_dim]."""
    return tensor.reshape(config.num_attention_heads, config.head_dim)


def from_heads(tensor: np.ndarray, config: Any) -> np.ndarray:
    """What is behind attention: [outputs, head * head_dim] to [head, head_dim, outputs]."""
    return tensor.T.reshape(config.num_attention_heads, config.head_dim, tensor.shape[0])


def first_row(tensor: np.ndarray, config: Any) -> np.ndarray:
    """For any table of `zoo.text.embedding`, as a checkpoint has it: on one chip, whose first row is 0."""
    return np.zeros(1, np.int32)
