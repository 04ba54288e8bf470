"""Records what the installed TT compiler makes of the programs in programs.py: `python tests/recorded/record.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from pytest_tt.tt_compiler.compile import compile_program
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.lowering import lower

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SYSTEMS = {1: "n150", 2: "n300", 8: "t3k"}
# Of these the tests need the program itself.
WITH_PROGRAM = ("fft", "both_axes")


def mesh_of(name: str) -> Mesh:
    rows, columns = map(int, name.split("x"))
    chips = np.array(jax.devices()[: rows * columns]).reshape(rows, columns)
    return Mesh(chips, ("batch", "model"), axis_types=(AxisType.Auto,) * 2)


def write(name: str, text: str) -> None:
    """Without the place of this checkout."""
    text = text.replace(str(HERE), "/home/user").replace(str(ROOT), "/home/user")
    text = text.replace(sys.prefix, "/home/user/venv").replace(sys.base_prefix, "/usr")
    (HERE / name).write_text(text, encoding="utf-8")


def record() -> None:
    import programs

    for mesh, cases in programs.TAKEN.items():
        for case in cases:
            function, arguments = case(mesh_of(mesh))
            lowered = lower(function, arguments, name=case.__name__)
            made = compile_program(lowered, system=SYSTEMS[lowered.devices])
            write(f"{case.__name__}.ttnn.mlir", made.ttnn)
            write(f"{case.__name__}.stablehlo.mlir", lowered.text)
            if case in programs.SENDING:
                write(f"{case.__name__}.ttir.mlir", made.ttir)
    refusals: dict[str, dict[str, str]] = {}
    for mesh, cases in programs.REFUSED.items():
        for case in cases:
            jax.config.update("jax_use_shardy_partitioner", case is not programs.without_shardy)
            function, arguments = case(mesh_of(mesh))
            try:
                lowered = lower(function, arguments, name=case.__name__)
                if case.__name__ in WITH_PROGRAM:
                    write(f"{case.__name__}.stablehlo.mlir", lowered.text)
                compile_program(lowered, system=SYSTEMS[lowered.devices])
            except TTCompileError as error:
                # Without what the process says of itself: paths, and where Python was.
                lines = [line for line in error.log.splitlines() if "INFO|" not in line]
                told = [line for line in lines if not line.startswith((" ", "Traceback"))]
                if told:
                    refusals[case.__name__] = {"log": "\n".join(told)}
            else:
                print(f"{case.__name__} compiles: no refusal to record")
    write("refusals.json", json.dumps(refusals, indent=1) + "\n")


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 8)
    record()
