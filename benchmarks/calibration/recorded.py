"""The recorded copy: `tests/recorded/calibration/`, operands and results by simulator and case."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DIRECTORY = Path(__file__).parents[2] / "tests" / "recorded" / "calibration"
SIMULATORS = ("blackhole_ttsim", "wormhole_ttsim", "blackhole_wolfpine", "wormhole_wolfpine")


@dataclass(frozen=True)
class Recorded:
    """One case on one simulator: float32 operands and result, and what the result's tensor held."""

    simulator: str
    name: str
    operands: tuple[Any, ...]
    result: Any
    element: str

    @property
    def arch(self) -> str:
        """``blackhole`` or ``wormhole``."""
        return self.simulator.partition("_")[0]


def widened(array: Any) -> Any:
    """bfloat16, which the copy holds as uint16, as float32; others as they are."""
    return (array.astype(np.uint32) << 16).view(np.float32) if array.dtype == np.uint16 else array


def narrowed(array: Any) -> Any:
    """float32 as uint16 where bfloat16 holds it exactly."""
    words = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return (words >> 16).astype(np.uint16) if array.dtype.kind == "f" and not (words & 0xFFFF).any() else array


def read(directory: Path = DIRECTORY) -> list[Recorded]:
    """All cases of all simulators."""
    index = json.loads((directory / "index.json").read_text())
    with np.load(directory / "arrays.npz") as file:
        arrays = {name: widened(file[name]) for name in file.files}
    return [
        Recorded(
            simulator, name, tuple(arrays[key] for key in entry["operands"]), arrays[entry["result"]], entry["element"]
        )
        for simulator in SIMULATORS
        for name, entry in index[simulator].items()
    ]
