"""The types of elements that tensors on a chip hold, by the compiler's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tt.tt_compiler.ttnn_module import Tensor

INTEGERS = {
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "si8": "int8", "si16": "int16", "si32": "int32", "si64": "int64",
}  # fmt: skip
"""NumPy's types for those of integers: values travel in them."""

FLOATS = frozenset(["f32", "f16", "bf16", "bfp_f8", "bfp_bf8", "bfp_f4", "bfp_bf4", "bfp_f2", "bfp_bf2"])
"""Those of floating point: values travel as float32."""

KNOWN = FLOATS | INTEGERS.keys()

# The same types by the names of MLIR, of tiles, and of rows.
_SAME = {f"ui{bits}": f"u{bits}" for bits in (8, 16, 32, 64)} | {f"i{bits}": f"si{bits}" for bits in (8, 16, 32, 64)}


def element_of(kind: Tensor) -> str:
    """What a tensor holds: a name of KNOWN if the emulator knows it."""
    element = kind.element if kind.layout is None else kind.layout.element
    return _SAME.get(element, element)


def dtype_of(kind: Tensor) -> str:
    """In which type of NumPy the values of a tensor travel."""
    return INTEGERS.get(element_of(kind), "float32")
