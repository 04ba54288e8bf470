"""Reads the text of a compiled program: TTNN in MLIR's generic form, as TT's compiler prints it.

What an op means is not known here: only its name, operands, results with their layouts, and where in the user's code
it comes from. What is not understood is never left out silently: a line is in `Module.unread`, a layout's size is None.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from pytest_tt.tt_compiler.locations import Location, Locations
from pytest_tt.tt_compiler.ttnn_module import (
    Argument,
    Function,
    Layout,
    Module,
    Op,
    Tensor,
    TTNNTextError,
    value_end,
)

_ALIAS = re.compile(r"(#[\w$.]+) = (.*)$")
_DIMS = re.compile(r"(?:\d+x)*")
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|->|[<>()\[\]{},]')
_RESULTS = re.compile(r"((?:%[\w$.\-]+(?::\d+)?(?:, )?)+) = ")
_VALUE = re.compile(r"%[\w$.\-]+(?:#\d+)?")
_SYMBOL = re.compile(r'@(?:([\w$.\-]+)|"([^"]*)")')
_GENERIC = re.compile(r'"([\w.]+)"\(([^()]*)\)')
_CUSTOM = re.compile(r"(?:func\.)?call (@[\w$.\-]+)\(([^()]*)\)|(ttcore\.load_cached)\((@[\w$.\-]+), \[([^\]]*)\]\)")
_FUNCTION = re.compile(r"func\.func (?:(public|private) )?")
_RETURN = re.compile(r"(?:func\.)?return\b(?: (.*?) : )?")
_RESOURCE = re.compile(r'\s*([\w$.\-]+): "(0x[0-9A-Fa-f]*)"')
_KIND = re.compile(r'tt\.function_type = "(\w+)"')
_ROLE = re.compile(r"ttcore\.argument_type<(\w+)>")
_ALONE = re.compile(r"#[\w$.]+\)")
_OPENING = re.compile(r"\s*([<{])")
_COLON = re.compile(r"\s*: \(")
_MESH = re.compile(r"ttcore\.meshes<\[.*?= (\d+(?:x\d+)*)")

# Attributes, types of operands, types of results.
_Signature: TypeAlias = tuple[str, tuple[Tensor | None, ...], tuple[Tensor | None, ...]]


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
        self.signatures: dict[str, _Signature | None] = {}
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
        lines = map(_RESOURCE.match, self.lines[position:])
        resources = {found[1]: found[2] for found in lines if found}
        return Module(functions, mesh, tuple(self.unread), resources)

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
            stop = _closing(text, 0) + 1 if text.startswith("(") else value_end(text, 0, " ")
            results = tuple(self._type(part) for part in _split(text[:stop].removeprefix("(").removesuffix(")")))
        kind = _KIND.search(rest)
        public = head[1] != "private"
        name = symbol[1] or symbol[2]
        role = "cpu" if in_cpu else kind[1] if kind else "main" if public else "private"
        position += 1
        if not line.endswith("{"):
            return Function(name, role, public, arguments, results, ()), position
        ops: list[Op] = []
        returned: tuple[str, ...] = ()
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
            if (end_of_function := _RETURN.match(line)) is not None:
                returned = tuple(_VALUE.findall(end_of_function[1] or ""))
            elif line and not line.startswith("//"):
                op = self._op(line)
                if op is None:
                    self.unread.append(f"line {number}: {line[:120]}")
                else:
                    ops.append(op)
        return Function(name, role, public, arguments, results, tuple(ops), returned), position

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
        text = line[found.end() :]
        if text not in self.signatures:  # layers that are alike have the same ones
            self.signatures[text] = self._signature(text)
        parts = self.signatures[text]
        if parts is None:
            return None
        attributes, inputs, outputs = parts
        names = [match[1] or match[2] for match in _SYMBOL.finditer(" ".join([*callees, attributes]))]
        return Op(
            name, tuple(results), tuple(_VALUE.findall(operands)), attributes, inputs, outputs, location, tuple(names)
        )

    def _split_location(self, line: str) -> tuple[Location, str]:
        at = line.rfind(" loc(")
        alias = at >= 0 and _ALONE.fullmatch(line, at + 5)
        if not alias and (at < 0 or _closing(line, at + 4) != len(line) - 1):
            return Location("", ()), line
        return self.locations.resolve(line[at + 5 : -1]), line[:at]

    def _signature(self, text: str) -> _Signature | None:
        """Attributes, types of operands and of results, of `` <{…}> {…} : (…) -> …``."""
        attributes: list[str] = []
        at = 0
        while (found := _OPENING.match(text, at)) is not None:
            end = _closing(text, found.start(1))
            if end < 0:
                return None
            attributes.append(text[found.start(1) + 1 : end].removeprefix("{").removesuffix("}"))
            at = end + 1
        colon = _COLON.match(text, at)
        if colon is None:
            return None
        end = _closing(text, colon.end() - 1)
        if end < 0 or not text.startswith(" -> ", end + 1):
            return None
        outputs = text[end + 5 :].strip()
        if outputs.startswith("(") and _closing(outputs, 0) == len(outputs) - 1:
            outputs = outputs[1:-1]
        inputs = _split(text[colon.end() : end])
        return (
            ", ".join(filter(None, attributes)), tuple(map(self._type, inputs)), tuple(map(self._type, _split(outputs)))
        )  # fmt: skip

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
