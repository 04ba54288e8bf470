"""The shape of a mesh of chips, ``ROWSxCOLS``, and the ``jax.sharding.Mesh`` made from it."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jax
    from jax.sharding import Mesh

DEFAULT_AXES = ("batch", "model")

# Sixteen Galaxies. A typing slip such as 8x400 should be an error, not thousands of threads.
MAX_CHIPS = 512

_FORM = re.compile(r"([1-9][0-9]*)x([1-9][0-9]*)")


@dataclass(frozen=True, slots=True, order=True)
class MeshShape:
    """Rows and columns of a mesh of chips."""

    rows: int
    cols: int

    @classmethod
    def parse(cls, text: str) -> MeshShape:
        """Read ``"1x8"``. Raises ValueError with one line that says what is accepted."""
        match = _FORM.fullmatch(str(text))
        if match is None:
            raise ValueError(f"{text!r} is not a mesh: expected ROWSxCOLS with whole numbers from 1, e.g. 1x8")
        rows, cols = int(match[1]), int(match[2])
        if rows * cols > MAX_CHIPS:
            raise ValueError(f"mesh {text} has {rows * cols} chips: at most {MAX_CHIPS} are supported, e.g. 8x4")
        return cls(rows, cols)

    @classmethod
    def of(cls, value: object) -> MeshShape:
        """Read ``"1x8"``, ``(1, 8)`` or ``[1, 8]``. Raises ValueError with one line that says what is accepted."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, list | tuple) and len(value) == 2 and all(map(_whole, value)):
            return cls.parse(f"{_whole(value[0])}x{_whole(value[1])}")
        raise ValueError(f"{value!r} is not a mesh: expected (ROWS, COLS) or ROWSxCOLS, e.g. (1, 8) or 1x8")

    @property
    def chips(self) -> int:
        return self.rows * self.cols

    def __str__(self) -> str:
        return f"{self.rows}x{self.cols}"


def _whole(number: Any) -> int:
    """`number` if it is a whole one from 1, NumPy's too, else 0."""
    try:
        return 0 if isinstance(number, bool) else max(0, operator.index(number))
    except TypeError:
        return 0


def build_mesh(shape: MeshShape, axes: tuple[str, str], devices: Sequence[jax.Device]) -> Mesh:
    """The first ``shape.chips`` of `devices` in row-major order, every axis of type Auto.

    The type is stated because its default changed from Auto to Explicit after jax 0.7.
    """
    import numpy as np
    from jax.sharding import AxisType, Mesh

    grid = np.array(devices[: shape.chips], dtype=object).reshape(shape.rows, shape.cols)
    return Mesh(grid, axes, axis_types=(AxisType.Auto, AxisType.Auto))
