"""What calls TT's compiler, in the compiler's own process: the one module that has to do with its library.

Another engine has the same functions and the same exception.
"""

from __future__ import annotations

import ctypes
import os
import re
from typing import TYPE_CHECKING, Any

from pytest_tt.tt_compiler.artifact import serialized, split_serialized, with_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The share of one chip of each argument, as the compiler's first stage has it: ``128x32xf32``.
_LOCAL_SHAPE = re.compile(r"local_shape local_shape = tensor<([^<>]*)>")
_DTYPES = {
    "i1": "bool", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "f16": "float16", "bf16": "bfloat16",
    "ui8": "uint8", "ui16": "uint16", "ui32": "uint32", "ui64": "uint64", "f32": "float32", "f64": "float64",
}  # fmt: skip
_FILLER_BYTES = 1 << 28
_FILLER_COLUMNS = 1024


class Refused(Exception):
    """The compiler does not take a program, and says why."""


def load(library: Path) -> None:
    """Load the library once for all programs, and import what compiling one needs. Raises OSError."""
    import jax  # noqa: F401

    from pytest_tt.targets import jax_private

    ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL)
    jax_private.prepare_compiling()


def compile(library: Path, module: bytes, devices: int, options: Mapping[str, str], descriptor: Path) -> bytes:
    """The serialized executable of `module` for the first `devices` chips of a box. Raises Refused.

    Once in a process: the library reads the descriptor of its box when it starts.
    """
    from pytest_tt.targets import jax_private

    os.environ["TT_COMPILE_ONLY_SYSTEM_DESC"] = str(descriptor)
    client = jax_private.client_of_library("tt", str(library))
    try:
        executable = jax_private.compile_module(client, module, devices, options)
        return with_outputs(serialized(executable), jax_private.tiles_of_outputs(executable))
    except (RuntimeError, ValueError) as error:
        raise Refused(str(error)) from error


def run_on_mock(
    library: Path,
    module: bytes,
    devices: int,
    options: Mapping[str, str],
    cluster: Path,
    *,
    cache: str | None,
    reserve_bytes: int,
) -> bytes:
    """The same, compiled for the mocked chips of `cluster`, and run there once with zeros. Raises Refused.

    Kernels are kept in the directory `cache`, for as long as this process lives if it is None. Of each chip's DRAM
    `reserve_bytes` are taken before the program runs.
    """
    from pytest_tt.targets import jax_private

    os.environ["TT_METAL_MOCK_CLUSTER_DESC_PATH"] = str(cluster)
    os.environ["TT_METAL_CACHE"] = cache or str(cluster.parent / "kernels")
    try:
        client = jax_private.client_of_library("tt", str(library))
        executable = jax_private.compile_module(client, module, devices, options)
        raw = serialized(executable)
        taken = _take(client, devices, reserve_bytes)
        jax_private.execute(client, executable, devices, _zeros(split_serialized(raw).ttir))
        del taken  # it was held until here
    except (RuntimeError, ValueError) as error:
        raise Refused(str(error)) from error
    return raw


def _zeros(ttir: str) -> list[Any]:
    """Zeros for each argument of the program on one chip."""
    import ml_dtypes  # noqa: F401 - gives NumPy bfloat16
    import numpy as np

    head = next(line for line in ttir.splitlines() if "func.func public @main" in line)
    found = _LOCAL_SHAPE.findall(head.partition(") -> ")[0])
    arrays = []
    for text in found:
        *shape, element = text.split("x")
        arrays.append(np.zeros([int(size) for size in shape], np.dtype(_DTYPES[element])))
    return arrays


def _take(client: Any, devices: int, size: int) -> list[Any]:
    """What takes about `size` bytes of DRAM on each chip as long as it is held."""
    import numpy as np

    from pytest_tt.targets import jax_private

    row = np.zeros((1, _FILLER_COLUMNS), np.float32)
    taken = []
    for each, count in ((_FILLER_BYTES, size // _FILLER_BYTES), (size % _FILLER_BYTES, 1)):
        rows = each // (_FILLER_COLUMNS * 4)
        if not rows or not count:
            continue
        # Of an argument: what is computed of constants alone is kept a second time.
        given, kind = (f"tensor<{count}x{_FILLER_COLUMNS}xf32>" for count in (1, rows))
        text = f"""module @filler attributes {{mhlo.num_partitions = {devices} : i32, mhlo.num_replicas = 1 : i32}} {{
  func.func public @main(%row: {given}) -> ({kind}) {{
    %0 = stablehlo.broadcast_in_dim %row, dims = [0, 1] : ({given}) -> {kind}
    return %0 : {kind}
  }}
}}
"""
        filler = jax_private.compile_module(client, text.encode(), devices, {})
        taken += [jax_private.execute(client, filler, devices, [row]) for _ in range(count)]
    return taken
