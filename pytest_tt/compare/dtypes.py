"""The kind of number that a dtype holds, including those of ml_dtypes (bfloat16, float8, int4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from typing import Any

Kind = Literal["float", "low float", "complex", "integer", "bool"]


def kind_of(dtype: np.dtype[Any]) -> Kind | None:
    """The kind of number; `low float` has fewer bits than float32; None for objects and text."""
    if dtype.kind == "b":
        return "bool"
    if dtype.kind in "iu":
        return "integer"
    if dtype.kind == "c":
        return "complex"
    if dtype.kind == "f":
        return "low float" if dtype.itemsize < 4 else "float"
    # ml_dtypes registers its types with numpy's kind "V"; a plain void type has no such name.
    if dtype.name.startswith(("bfloat", "float")):
        return "low float"
    if dtype.name.startswith(("int", "uint")):
        return "integer"
    return None


def epsilon(dtype: np.dtype[Any]) -> float:
    """Distance from 1.0 to the next larger number; 0.0 for integers and bools."""
    kind = kind_of(dtype)
    if kind in ("float", "complex") or dtype == np.float16:
        return float(np.finfo(dtype).eps)
    if kind == "low float":
        import ml_dtypes

        return float(ml_dtypes.finfo(dtype).eps)
    return 0.0
