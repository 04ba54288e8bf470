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
    """Something that the zoo and transformers both do.

    pytorch and zoo take the checkpoint's directory (and a mesh) and give a callable that does the work once and returns
    what both sides must agree on; load_pytorch and load_zoo take the same, and keep the weights for them. They import
    torch or jax inside: each side has a process of its own.
    """

    title: str
    model: str
    variant: str
    aim: float
    """Time of PyTorch over the zoo's."""
    load_pytorch: Callable[[Path], Any]
    load_zoo: Callable[[Path, Mesh], Any]
    pytorch: Callable[[Path], Callable[[], np.ndarray]]
    zoo: Callable[[Path, Mesh], Callable[[], np.ndarray]]
    rows: int
    """Rows of its batch."""
    dtype: str = "float32"
    """Of the weights and their products, on both sides."""
    over_all_chips: bool = False
    """Whether rows are spread over all chips, not only over the axis ``batch``."""
    tokens: int | None = None
    """Tokens that it generates, to show tokens a second; None to show milliseconds."""

    def divides(self, mesh: MeshShape) -> bool:
        """Whether its rows can be spread evenly."""
        return self.rows % (mesh.chips if self.over_all_chips else mesh.rows) == 0

    def shown(self, seconds: float) -> str:
        """A time as the table shows it."""
        return f"{1e3 * seconds:.0f} ms" if self.tokens is None else f"{self.tokens / seconds:.1f} tokens/s"
