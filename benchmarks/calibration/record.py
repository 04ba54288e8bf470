"""Makes `tests/recorded/calibration/` from the raw files: each array once, bfloat16 as 16 bits, references left out."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibration.recorded import DIRECTORY, SIMULATORS, narrowed

_ELEMENTS = {"BFLOAT16": "bf16", "FLOAT32": "f32", "BFLOAT8_B": "bfp_bf8", "INT32": "si32", "UINT32": "u32"}


def main() -> None:
    """Writes index.json and arrays.npz."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration.record", description=__doc__)
    parser.add_argument("raw", type=Path, metavar="DIRECTORY", help="with SIMULATOR*.npz and SIMULATOR*.json")
    raw = parser.parse_args().raw
    arrays: dict[str, Any] = {}
    index: dict[str, dict[str, Any]] = {}

    def keep(array: Any) -> str:
        array = narrowed(array)
        digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()[:12]
        arrays[digest] = array
        return digest

    for simulator in SIMULATORS:
        (values,), (facts,) = (list(raw.glob(f"{simulator}*.{kind}")) for kind in ("npz", "json"))
        cases = index[simulator] = {}
        with np.load(values) as file:
            for name, fact in json.loads(facts.read_text()).items():
                given = sorted(key for key in file.files if key.startswith(f"{name}/in"))
                cases[name] = {
                    "operands": [keep(file[key]) for key in given],
                    "result": keep(file[f"{name}/out"]),
                    "element": _ELEMENTS[fact["odtype"].rpartition(".")[2]],
                }
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(DIRECTORY / "arrays.npz", **dict(sorted(arrays.items())))
    (DIRECTORY / "index.json").write_text(json.dumps(index, indent=0) + "\n")


if __name__ == "__main__":
    main()
