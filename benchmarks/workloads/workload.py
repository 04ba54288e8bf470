"""One row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from jax.sharding import Mesh

    from pytest_tt.targets.mesh import MeshShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A computation that the zoo and transformers both do.

    pytorch and zoo take the checkpoint's directory (and a mesh) and return a callable that runs the workload once and
    returns the values on which both sides must agree; load_pytorch and load_zoo take the same, and keep the weights.
    They import torch or jax inside, because each side has a process of its own.
    """

    title: str
    model: str
    variant: str
    aim: float
    """The goal: PyTorch's time divided by the zoo's."""
    load_pytorch: Callable[[Path], Any]
    load_zoo: Callable[[Path, Mesh], Any]
    pytorch: Callable[[Path], Callable[[], np.ndarray]]
    zoo: Callable[[Path, Mesh], Callable[[], np.ndarray]]
    rows: int
    """Rows of its batch."""
    dtype: str = "float32"
    """dtype of the weights and their products, on both sides."""
    over_all_chips: bool = False
    """Whether rows are sharded over all chips, not only over the axis ``batch``."""
    tokens: int | None = None
    """Tokens that it generates, to show tokens per second; None to show milliseconds."""

    def divides(self, mesh: MeshShape) -> bool:
        """Whether its rows can be sharded evenly."""
        return self.rows % (mesh.chips if self.over_all_chips else mesh.rows) == 0

    def shown(self, seconds: float) -> str:
        """A time as the table shows it."""
        return f"{1e3 * seconds:.0f} ms" if self.tokens is None else f"{self.tokens / seconds:.1f} tokens/s"
