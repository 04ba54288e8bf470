"""Token accuracy: how often a language model predicts the same token as its reference, along a given text.

As tt-metal measures it: the model gets a text token by token, whatever it predicts itself (teacher forcing), and its
likeliest token at each position is compared with the reference's five likeliest there. A golden file then stores five
numbers per token, so that it stays small for large vocabularies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class TokenAccuracy(NamedTuple):
    """Shares of tokens, 0 to 1, where the model's likeliest is the reference's (top1), or among its top five (top5)."""

    top1: float
    top5: float


def token_accuracy(logits: np.ndarray, top5: np.ndarray) -> TokenAccuracy:
    """Accuracy of `logits` [..., vocab] against the reference's `top5` [..., 5] int, the likeliest first.

    ValueError if the shapes do not match, or if there is nothing to compare.
    """
    if logits.shape[:-1] != top5.shape[:-1] or top5.shape[-1:] != (5,) or not top5.size:
        raise ValueError(f"logits {logits.shape} and top5 {top5.shape}: expected [..., vocab] and [..., 5], not empty")
    said = logits.argmax(axis=-1)[..., None] == top5
    return TokenAccuracy(float(said[..., 0].mean()), float(said.any(axis=-1).mean()))
