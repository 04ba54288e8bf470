"""Token accuracy: how often a language model says what its reference says, along a text that both are given.

As tt-metal measures it: the model is given a text token by token, whatever it would have said itself (teacher forcing),
and each of its likeliest tokens is compared with the five that the reference finds likeliest there. What the reference
says of a text is five numbers a token, so that golden files of large vocabularies stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class TokenAccuracy(NamedTuple):
    """Shares of tokens, 0 to 1, where the model's likeliest is the reference's, or one of its five likeliest."""

    top1: float
    top5: float


def token_accuracy(logits: np.ndarray, top5: np.ndarray) -> TokenAccuracy:
    """Of `logits` [..., vocab] against the reference's `top5` [..., 5] int, the likeliest first.

    ValueError if the shapes do not belong together, or there is nothing to compare.
    """
    if logits.shape[:-1] != top5.shape[:-1] or top5.shape[-1:] != (5,) or not top5.size:
        raise ValueError(f"logits {logits.shape} and top5 {top5.shape}: expected [..., vocab] and [..., 5], not empty")
    said = logits.argmax(axis=-1)[..., None] == top5
    return TokenAccuracy(float(said[..., 0].mean()), float(said.any(axis=-1).mean()))
