"""An array that a program takes, and how it is spread over a mesh; apart from placement.py, as this needs no jax."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Array:
    """Arrays of one kind: `count` of them, whose names differ in the numbers that ``*`` stands for."""

    name: str
    count: int
    dtype: str
    shape: tuple[int, ...]
    spec: tuple[tuple[str, ...], ...] | None
    """For each dimension the mesh axes that split it, none for a whole one; None: the sharding is not given by axes."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        spec = None if self.spec is None else [list(entry) for entry in self.spec]
        return {**asdict(self), "shape": list(self.shape), "spec": spec}
