"""What the logits say: the labels of a checkpoint, and the most probable ones of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Guess(NamedTuple):
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


def read_labels(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels in order, from a checkpoint's config.json. ValueError if one is missing."""
    found = {int(index): str(label) for index, label in content.get("id2label", {}).items()}
    if not found or set(found) != set(range(len(found))):
        raise ValueError(f"config.json: id2label has {len(found)} labels, not numbered 0, 1, 2 …")
    return tuple(found[index] for index in range(len(found)))


def top(logits: np.ndarray, labels: Sequence[str], count: int = 5) -> list[list[Guess]]:
    """The `count` most probable labels of each row of `logits` [batch, labels], the best first."""
    values = np.asarray(logits, np.float64)
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise ValueError(f"logits are {values.shape}, expected [batch, {len(labels)}]: one for each label")
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return [
        [Guess(labels[index], float(row[index])) for index in best]
        for best, row in zip(order, probabilities, strict=True)
    ]
