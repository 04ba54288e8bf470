"""A compiled program as it was read from its text: functions, ops, tensors and how they lie in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_tt.tt_compiler.locations import Location

# Bytes of a 32x32 tile and of an element, by the names that the compiler prints. A block format has one 8-bit exponent
# for 16 elements: 64 bytes a tile (tt-metal tech_reports/data_formats; tt-mlir TTCoreOpsTypes.cpp).
_TILE_BYTES = {
    "f32": 4096, "u32": 4096, "si32": 4096, "f16": 2048, "bf16": 2048, "u16": 2048, "u8": 1024,
    "bfp_f8": 1088, "bfp_bf8": 1088, "bfp_f4": 576, "bfp_bf4": 576, "bfp_f2": 320, "bfp_bf2": 320,
}  # fmt: skip
_ELEMENT_BYTES = {
    "f32": 4, "i32": 4, "si32": 4, "ui32": 4, "u32": 4, "f16": 2, "bf16": 2, "ui16": 2, "u16": 2, "ui8": 1, "u8": 1,
}  # fmt: skip
_TILE = (32, 32)
# What the compiler calls the function that a call runs.
_MAIN_KINDS = ("main", "forward_device", "forward")


class TTNNTextError(ValueError):
    """The text is not a TTNN module as far as this reader knows them: the line, and what was expected."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tensor lies in memory: `#ttnn.ttnn_layout`.

    `grid` are the cores that it is sharded over (1x1 if interleaved), `shape` its part per core, in tiles or elements
    of `element` (``bf16``, ``bfp_bf8`` …), `buffer` the memory (``dram``, ``l1``, ``system_memory``).
    """

    grid: tuple[int, ...]
    shape: tuple[int, ...]
    element: str
    tile: tuple[int, int] | None
    buffer: str

    @property
    def page_bytes(self) -> int | None:
        """A tile, or a row of elements: what is stored in one piece in one bank. None if the format is not known."""
        if self.tile is not None:
            return _TILE_BYTES.get(self.element) if self.tile == _TILE else None
        size = _ELEMENT_BYTES.get(self.element)
        return None if size is None else size * (self.shape[-1] if self.shape else 1)

    @property
    def pages(self) -> int:
        """Number of pages on one chip."""
        return prod(self.grid) * prod(self.shape if self.tile is not None else self.shape[:-1])

    @property
    def stored_bytes(self) -> int | None:
        """Bytes on one chip, padding to whole tiles included. None if the format is not known."""
        page = self.page_bytes
        return None if page is None else page * self.pages

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        tile = "" if self.tile is None else f" in tiles of {'x'.join(map(str, self.tile))}"
        return f"{shape} {self.element}{tile} in {self.buffer}"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor on one chip; `layout` is None where the text gives none."""

    shape: tuple[int, ...]
    element: str
    layout: Layout | None

    @property
    def size(self) -> int:
        """Number of elements, without padding."""
        return prod(self.shape)

    @property
    def plain_bytes(self) -> int | None:
        """Bytes of the elements, without padding. None if their type is not known."""
        size = _ELEMENT_BYTES.get(self.element)
        return None if size is None else size * self.size


@dataclass(frozen=True, slots=True)
class Op:
    """One op. `operand_types` and `result_types` hold None for what is not a tensor (a device, a token)."""

    name: str
    results: tuple[str, ...]
    operands: tuple[str, ...]
    attributes: str
    operand_types: tuple[Tensor | None, ...]
    result_types: tuple[Tensor | None, ...]
    location: Location
    calls: tuple[str, ...] = ()
    """Functions that it names: a callee, the body and condition of a loop, branches."""

    @property
    def short_name(self) -> str:
        """The name without its dialect: ``matmul``."""
        return self.name.rpartition(".")[2]

    def attribute(self, name: str) -> str | None:
        """The text of an attribute: ``2``, ``true``, ``[1, 1]``, ``hifi4``; None if it has none of that name."""
        found = re.search(rf"(?:^|[<{{,]\s*|\s){re.escape(name)} = ", self.attributes)
        if found is None:
            return None
        end = value_end(self.attributes, found.end())
        value = self.attributes[found.end() : end].strip()
        return re.sub(r" : [\w<>]+$", "", value)

    def integers(self, name: str) -> tuple[int, ...]:
        """The integers of an attribute such as ``array<i32: 3, 3>``, ``[1, 2]`` or ``4 : i32``; empty without it."""
        value = self.attribute(name) or ""
        return tuple(int(number) for number in re.findall(r"-?\b\d+\b", value.partition(":")[2] or value))


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a function. `role` is ``parameter``, ``input`` …, None if the compiler was told nothing."""

    name: str
    type: Tensor | None
    role: str | None


@dataclass(frozen=True, slots=True)
class Function:
    """A function. `kind` is what the compiler calls it: ``forward_device``, ``const_eval`` …; ``cpu`` on the host."""

    name: str
    kind: str
    public: bool
    arguments: tuple[Argument, ...]
    results: tuple[Tensor | None, ...]
    ops: tuple[Op, ...]
    returned: tuple[str, ...] = ()
    """The values that it returns."""


@dataclass(frozen=True, slots=True)
class Module:
    """A compiled program. All chips of `mesh` run the same one."""

    functions: dict[str, Function]
    mesh: tuple[int, ...]
    unread: tuple[str, ...] = field(default=())
    """Lines of device functions that this reader does not understand, each with its number."""
    resources: dict[str, str] = field(default_factory=dict, repr=False)
    """Constants that stand at the end of the text, in hexadecimal."""

    @property
    def main(self) -> Function:
        """The function that a call of the program runs. Raises TTNNTextError if there is not exactly one."""
        found = [function for function in self.functions.values() if function.public and function.kind in _MAIN_KINDS]
        if len(found) != 1:
            names = ", ".join(f"{function.name} ({function.kind})" for function in self.functions.values())
            raise TTNNTextError(f"{len(found)} public functions of the device: expected one; functions: {names}")
        return found[0]

    def walk(self, function: Function) -> Iterator[Op]:
        """Ops of `function` and of the functions that it calls on the device, loop bodies and branches, each where it
        is called; not those that run once and are cached."""
        for op in function.ops:
            yield op
            for callee in self.called(op):
                yield from self.walk(callee)

    def called(self, op: Op) -> tuple[Function, ...]:
        """The functions that `op` runs on the device; none of what it loads from the cache."""
        if not op.calls or op.short_name == "load_cached":
            return ()
        found = (self.functions.get(name) for name in op.calls)
        return tuple(function for function in found if function is not None and function.kind != "cpu")


def value_end(text: str, start: int, stops: str = ",") -> int:
    """Where the value that begins at `start` ends: before one of `stops`, or the bracket that holds it."""
    depth = 0
    position = start
    for found in re.compile(r'"(?:[^"\\]|\\.)*"|->|[<>()\[\]{}, ]').finditer(text, start):
        token = found[0]
        if depth == 0 and (token in stops or token in ">)]}"):
            return found.start()
        if token in "<([{":
            depth += 1
        elif token in ">)]}":
            depth -= 1
        position = found.end()
    return max(position, len(text))
