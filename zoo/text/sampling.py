"""Choosing the next token: the likeliest, or a drawn one. On the host: the chips have no usable random numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw; the filters apply in the order of the fields, as in transformers' generate.

    temperature: above 0, divides the logits. top_k: only the k likeliest tokens, None for all. top_p: above 0 to 1,
    only the likeliest tokens that together reach this probability, None for all. ValueError for anything else.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(
                f"temperature is {self.temperature}: expected a number above 0 (for the likeliest: greedy)"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}: expected 1 or more, or None")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}: expected a number above 0, up to 1, or None")


def probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Probabilities [rows, tokens] float64 from `logits` [rows, tokens]."""
    scores = logits.astype(np.float64) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
        least = np.partition(scores, -sampling.top_k, axis=-1)[:, -sampling.top_k, None]
        scores = np.where(scores < least, -np.inf, scores)
    if sampling.top_p is not None:
        order = np.argsort(scores, axis=-1)[:, ::-1]
        ranked = np.take_along_axis(_softmax(scores), order, axis=-1)
        before = np.cumsum(ranked, axis=-1) - ranked
        dropped = np.empty(scores.shape, bool)
        np.put_along_axis(dropped, order, before >= sampling.top_p, axis=-1)
        scores = np.where(dropped, -np.inf, scores)
    return _softmax(scores)


def draw(logits: np.ndarray, sampling: Sampling, random: np.random.Generator) -> np.ndarray:
    """One token per row, int32 [rows]; takes one number per row from `random`."""
    upto = np.cumsum(probabilities(logits, sampling), axis=-1)
    drawn = random.random(len(logits))[:, None] * upto[:, -1:]
    return np.asarray((upto <= drawn).sum(axis=-1), np.int32)


def likeliest(logits: np.ndarray) -> np.ndarray:
    """The token with the largest logit in each row, the first of equal ones, int32 [rows]."""
    return np.asarray(logits.argmax(axis=-1), np.int32)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)
