"""Reads the text of a compiled program: TTNN in MLIR's generic form, as TT's compiler prints it.

What an op means is not known here: only its name, operands, results with their layouts, and where in the user's code
it comes from. What is not understood is never left out silently: a line is in `Module.unread`, a layout's size is None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from pytest_tt.tt_compiler.locations import Location, Locations

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        end = _value_end(self.attributes, found.end())
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


@dataclass(frozen=True, slots=True)
class Module:
    """A compiled program. All chips of `mesh` run the same one."""

    functions: dict[str, Function]
    mesh: tuple[int, ...]
    unread: tuple[str, ...] = field(default=())
    """Lines of device functions that this reader does not understand, each with its number."""

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
        found = () if op.short_name == "load_cached" else (self.functions.get(name) for name in op.calls)
        return tuple(function for function in found if function is not None and function.kind != "cpu")


_MAIN_KINDS = ("main", "forward_device", "forward")
_ALIAS = re.compile(r"(#[\w$.]+) = (.*)$")
_DIMS = re.compile(r"(?:\d+x)*")
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|->|[<>()\[\]{},]')
_RESULTS = re.compile(r"((?:%[\w$.\-]+(?::\d+)?(?:, )?)+) = ")
_VALUE = re.compile(r"%[\w$.\-]+(?:#\d+)?")
_SYMBOL = re.compile(r'@(?:([\w$.\-]+)|"([^"]*)")')
_GENERIC = re.compile(r'"([\w.]+)"\(([^()]*)\)')
_CUSTOM = re.compile(r"(?:func\.)?call (@[\w$.\-]+)\(([^()]*)\)|(ttcore\.load_cached)\((@[\w$.\-]+), \[([^\]]*)\]\)")
_FUNCTION = re.compile(r"func\.func (?:(public|private) )?")
_KIND = re.compile(r'tt\.function_type = "(\w+)"')
_ROLE = re.compile(r"ttcore\.argument_type<(\w+)>")
_MESH = re.compile(r"ttcore\.meshes<\[.*?= (\d+(?:x\d+)*)")


def read(text: str) -> Module:
    """The module that `text` prints. Raises TTNNTextError if it holds no function."""
    return _Reader(text).module()


class _Reader:
    """Line by line: the compiler prints one op to a line, and a function's head on one line."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.aliases: dict[str, str] = {}
        for line in self.lines:
            if line.startswith("#") and (found := _ALIAS.match(line)):
                self.aliases[found[1]] = found[2]
        self.locations = Locations(self.aliases)
        self.types: dict[str, Tensor | None] = {}
        self.layouts: dict[str, Layout | None] = {}
        self.unread: list[str] = []

    def module(self) -> Module:
        functions: dict[str, Function] = {}
        mesh: tuple[int, ...] = (1, 1)
        in_cpu, depth_of_cpu, depth = False, 0, 0
        position = 0
        while position < len(self.lines):
            line = self.lines[position].strip()
            if line.startswith("{-#"):
                break  # constants kept outside of the text
            if line.startswith("#"):
                position += 1
                continue
            if found := _MESH.search(line):
                mesh = tuple(int(n) for n in found[1].split("x"))
            if line.startswith("ttcore.cpu_module"):
                in_cpu, depth_of_cpu = True, depth
            if line.startswith("func.func"):
                function, position = self._function(position, in_cpu)
                functions[function.name if not in_cpu else f"cpu:{function.name}"] = function
                continue
            depth += _depth(line)
            if in_cpu and depth <= depth_of_cpu:
                in_cpu = False
            position += 1
        if not functions:
            raise TTNNTextError("no 'func.func' in the text: expected a TTNN module as TT's compiler prints it")
        return Module(functions, mesh, tuple(self.unread))

    def _function(self, position: int, in_cpu: bool) -> tuple[Function, int]:
        """The function whose head is at `position`, and the position after it."""
        line = self.lines[position].strip()
        head = _FUNCTION.match(line)
        symbol = _SYMBOL.search(line)
        if head is None or symbol is None:
            raise TTNNTextError(f"line {position + 1}: expected func.func @NAME(…), found {line[:80]!r}")
        start = line.index("(", symbol.end())
        end = _closing(line, start)
        arguments = tuple(self._argument(part) for part in _split(line[start + 1 : end]))
        rest = line[end + 1 :]
        found = re.match(r" -> ", rest)
        results: tuple[Tensor | None, ...] = ()
        if found is not None:
            text = rest[found.end() :]
            stop = _closing(text, 0) + 1 if text.startswith("(") else _value_end(text, 0, " ")
            results = tuple(self._type(part) for part in _split(text[:stop].removeprefix("(").removesuffix(")")))
        kind = _KIND.search(rest)
        public = head[1] != "private"
        name = symbol[1] or symbol[2]
        role = "cpu" if in_cpu else kind[1] if kind else "main" if public else "private"
        position += 1
        if not line.endswith("{"):
            return Function(name, role, public, arguments, results, ()), position
        ops: list[Op] = []
        depth = 1
        while position < len(self.lines) and depth > 0:
            line = self.lines[position].strip()
            number = position + 1
            position += 1
            if line.startswith("}") and depth == 1:
                depth = 0
                continue
            if in_cpu:
                depth += _depth(line)
                if host := re.match(r'(?:%.* = )?"?((?:\w+\.)+\w+)', line):
                    ops.append(Op(host[1], (), (), "", (), (), Location("", ())))
                continue
            if line and not line.startswith("//") and not line.startswith(("return", "func.return")):
                op = self._op(line)
                if op is None:
                    self.unread.append(f"line {number}: {line[:120]}")
                else:
                    ops.append(op)
        return Function(name, role, public, arguments, results, tuple(ops)), position

    def _argument(self, text: str) -> Argument:
        name, _, rest = text.strip().partition(": ")
        if not name.startswith("%"):
            name, rest = "", text.strip()
        role = _ROLE.search(rest)
        return Argument(name, self._type(rest), role[1] if role else None)

    def _op(self, line: str) -> Op | None:
        """The op of a line; None if its form is not known."""
        location, line = self._split_location(line)
        results: list[str] = []
        if found := _RESULTS.match(line):
            for part in found[1].split(", "):
                name, _, count = part.strip().partition(":")
                results += [f"{name}#{k}" for k in range(int(count))] if count else [name]
            line = line[found.end() :]
        if found := _GENERIC.match(line):
            name, operands, callees = found[1], found[2], []
        elif found := _CUSTOM.match(line):
            name = found[3] or "func.call"
            operands, callees = found[2] if found[3] is None else found[5], [found[1] or found[4]]
        else:
            return None
        parts = self._signature(line[found.end() :])
        if parts is None:
            return None
        attributes, inputs, outputs = parts
        names = [match[1] or match[2] for match in _SYMBOL.finditer(" ".join([*callees, attributes]))]
        return Op(
            name, tuple(results), tuple(_VALUE.findall(operands)), attributes,
            tuple(map(self._type, inputs)), tuple(map(self._type, outputs)), location, tuple(names),
        )  # fmt: skip

    def _split_location(self, line: str) -> tuple[Location, str]:
        at = line.rfind(" loc(")
        if at < 0 or _closing(line, at + 4) != len(line) - 1:
            return Location("", ()), line
        return self.locations.resolve(line[at + 5 : -1]), line[:at]

    def _signature(self, text: str) -> tuple[str, list[str], list[str]] | None:
        """Attributes, types of operands and of results, of `` <{…}> {…} : (…) -> …``."""
        attributes: list[str] = []
        at = 0
        while (found := re.compile(r"\s*([<{])").match(text, at)) is not None:
            end = _closing(text, found.start(1))
            if end < 0:
                return None
            attributes.append(text[found.start(1) + 1 : end].removeprefix("{").removesuffix("}"))
            at = end + 1
        colon = re.compile(r"\s*: \(").match(text, at)
        if colon is None:
            return None
        end = _closing(text, colon.end() - 1)
        if end < 0 or not text.startswith(" -> ", end + 1):
            return None
        outputs = text[end + 5 :].strip()
        if outputs.startswith("(") and _closing(outputs, 0) == len(outputs) - 1:
            outputs = outputs[1:-1]
        return ", ".join(filter(None, attributes)), _split(text[colon.end() : end]), _split(outputs)

    def _type(self, text: str) -> Tensor | None:
        """The tensor at the beginning of `text`; None for another type."""
        text = text.strip()
        if not text.startswith("tensor<"):
            return None
        text = text[: _closing(text, 6) + 1]
        if text not in self.types:
            self.types[text] = self._tensor(text[7:-1])
        return self.types[text]

    def _tensor(self, inner: str) -> Tensor:
        head, *encoding = _split(inner)
        shape, element, _ = _shaped(head)
        return Tensor(shape, element, self._layout(encoding[0].strip()) if encoding else None)

    def _layout(self, text: str) -> Layout | None:
        if text not in self.layouts:
            self.layouts[text] = self._new_layout(text)
        return self.layouts[text]

    def _new_layout(self, text: str) -> Layout | None:
        for _ in range(8):
            text = self.aliases.get(text, text)
        memref = text.find("memref<")
        if not text.startswith("#ttnn.ttnn_layout<") or memref < 0:
            return None
        end = _closing(text, memref + 6)
        shaped, *space = _split(text[memref + 7 : end])
        shape, element, tile = _shaped(shaped)
        grid = re.search(r"<(\d+(?:x\d+)*)(?:, [^<>]*(?:<[^<>]*>)?[^<>]*)?>, memref", text.replace("->", "→"))
        buffer = space[-1].strip() if space else ""
        buffer = self.aliases.get(buffer, buffer)
        found = re.search(r"(\w+)>*$", buffer)
        if grid is None or found is None:
            return None
        return Layout(tuple(int(n) for n in grid[1].split("x")), shape, element, tile, found[1])


def _shaped(text: str) -> tuple[tuple[int, ...], str, tuple[int, int] | None]:
    """Shape, element and tile of ``2x3x!ttcore.tile<32x32, bf16>`` or ``64x96xf32``."""
    text = text.strip()
    found = _DIMS.match(text)
    dims = found[0] if found else ""
    element = text[len(dims) :]
    tile = re.fullmatch(r"!ttcore\.tile<(\d+)x(\d+), (\w+)>", element)
    shape = tuple(int(n) for n in dims.split("x")[:-1])
    if tile:
        return shape, tile[3], (int(tile[1]), int(tile[2]))
    return shape, element, None


def _depth(line: str) -> int:
    """By how many braces a line opens more than it closes."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
    return plain.count("{") - plain.count("}")


def _closing(text: str, start: int) -> int:
    """Where the bracket at `start` is closed, -1 if it is not."""
    depth = 0
    for found in _NESTING.finditer(text, start):
        token = found[0]
        if token in "<([{":
            depth += 1
        elif token in ">)]}":
            depth -= 1
            if depth == 0:
                return found.start()
    return -1


def _split(text: str) -> list[str]:
    """`text` at its commas outside of brackets."""
    parts: list[str] = []
    depth = begin = 0
    for found in _NESTING.finditer(text):
        token = found[0]
        if token == "," and depth == 0:
            parts.append(text[begin : found.start()].strip())
            begin = found.end()
        elif token in "<([{":
            depth += 1
        elif token in ">)]}":
            depth -= 1
    last = text[begin:].strip()
    return [*parts, last] if last else parts


def _value_end(text: str, start: int, stops: str = ",") -> int:
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
