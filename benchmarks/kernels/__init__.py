"""Outputs of single TTNN kernels, and how far they are from exact ones.

`recorded.npz` holds, for 29 ops on arrays of 32x32, ``NAME/out``, what the kernel gave, and ``NAME/exact``, computed in
float64 from the same inputs; inputs too where they are unusual (``NAME/in0``). The kernels are those of ttnn 0.81.1 for
Blackhole, executed on 28 November 2026 by ttsim 1.10.0, Tenstorrent's simulator of the chip, which means to be exact to
the bit. They were not compared with silicon.

Names say the type (bf16, f32, bfp8), for products the math fidelity (LoFi to HiFi4), and whether sums have 16 or 32
bits (acc16, acc32).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORD = Path(__file__).with_name("recorded.npz")


@dataclass(frozen=True, slots=True)
class Error:
    """How far an output is from the exact one.

    pcc: correlation. relative: largest error over the largest exact value. ulp: largest error in units of the last
    place of a bfloat16.
    """

    pcc: float
    relative: float
    ulp: float


@cache
def arrays() -> Mapping[str, np.ndarray]:
    """All arrays of the record."""
    with np.load(RECORD) as record:
        return dict(record)


def error(name: str) -> Error:
    """The error of a kernel. Raises KeyError for a name that the record does not have."""
    out, exact = (arrays()[f"{name}/{kind}"].astype(np.float64).ravel() for kind in ("out", "exact"))
    difference = np.abs(out - exact)
    spacing = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(exact), 1e-30))) - 7)
    return Error(
        float(np.corrcoef(out, exact)[0, 1]),
        float(difference.max() / np.abs(exact).max()),
        float((difference / spacing).max()),
    )
