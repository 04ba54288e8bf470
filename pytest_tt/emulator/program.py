"""A compiled program, read whole and strictly: what the emulator has no meaning for is refused before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_tt.emulator import attributes, control
from pytest_tt.emulator.builds import meaning_of
from pytest_tt.emulator.elements import KNOWN, element_of
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.registry import HOW, meanings
from pytest_tt.tt_compiler.ttnn_module import TTNNTextError
from pytest_tt.tt_compiler.ttnn_text import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_tt.emulator.attributes import Value
    from pytest_tt.emulator.builds import BuildMeaning
    from pytest_tt.tt_compiler.card_program import CardProgram, Compiler
    from pytest_tt.tt_compiler.ttnn_module import Function, Module, Op, Tensor


MOVES = frozenset(
    [
        "clone", "from_device", "permute", "reshape", "to_device", "to_dtype", "to_layout", "to_memory_config",
        "transpose", "typecast",
    ]
)  # fmt: skip
"""Ops that change how a tensor lies, not what it holds: what is wrong behind one was wrong before."""


@dataclass(frozen=True, slots=True)
class KnownOp:
    """An op whose attributes are read."""

    op: Op
    attributes: dict[str, Value]

    @property
    def kind(self) -> tuple[object, ...]:
        """What it computes: the same of ops that differ in their operands' values alone."""
        return (self.op.name, self.op.attributes, self.op.operand_types, self.op.result_types)


@dataclass(frozen=True)
class EmulatedProgram:
    """A program of which every line, op, attribute and layout is known."""

    name: str
    system: str
    module: Module
    text: str = field(repr=False)
    """What was read."""
    compiler: Compiler
    functions: Mapping[str, tuple[KnownOp, ...]]
    """The ops of each function that a call of the program executes, and of those that it loads from the cache."""

    @property
    def build(self) -> BuildMeaning:
        """What the text does not say."""
        return meaning_of(self.compiler)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of chips."""
        rows, columns = self.module.mesh if len(self.module.mesh) == 2 else (1, *self.module.mesh)
        return rows, columns

    @property
    def ops(self) -> tuple[Op, ...]:
        """Those of the main function. What an op writes into in place is its result here."""
        return tuple(known.op for known in self.functions[self.module.main.name])

    @property
    def repeats(self) -> float:
        """How often it has each kind of op, on average."""
        kinds = [known.kind for ops in self.functions.values() for known in ops]
        return len(kinds) / max(1, len(set(kinds)))

    @property
    def written(self) -> Mapping[int, Op]:
        """The numbers of the arguments that the program writes into in place, each with the first op that does so."""
        numbers = {argument.name: number for number, argument in enumerate(self.module.main.arguments)}
        found: dict[int, Op] = {}
        for op in self.ops:
            for name in op.results:
                if name in numbers:
                    found.setdefault(numbers[name], op)
        return found

    def computing(self, op: Op) -> Op:
        """The op of the main function that computes what `op` only moves; `op` itself if it computes."""
        ops = self.ops
        while op.short_name in MOVES and op.operands:
            before = _giving(op.operands[0], ops[: ops.index(op)])
            if before is None or before.name in control.ATTRIBUTES:
                break
            op = before
        return op

    def computing_result(self, number: int) -> Op | None:
        """The op that computes a result of the program; None for an argument that is given back as it came."""
        op = _giving(self.module.main.returned[number], self.ops)
        return None if op is None else self.computing(op)

    @classmethod
    def of(cls, program: CardProgram) -> EmulatedProgram:
        """`program`, read. Raises EmulationError."""
        return cls.read(program.ttnn, compiler=program.compiler, system=program.system, name=program.name)

    @classmethod
    def read(cls, text: str, *, compiler: Compiler, system: str, name: str = "program") -> EmulatedProgram:
        """The program that the TTNN module in `text` is. `name` stands before each error, `system` is one of SYSTEMS.

        Imports jax, because the meanings of ops do. Raises EmulationError for the first line, op, attribute, layout or
        value that is not known.
        """
        try:
            module = read(text)
            main = module.main
        except TTNNTextError as error:
            raise EmulationError(str(error), op=None, program=name) from None
        try:
            if module.unread:
                raise EmulationError(f"the text has a line in a form that is not known: {module.unread[0]}", op=None)
            if len(module.mesh) > 2:
                raise EmulationError(f"mesh {'x'.join(map(str, module.mesh))}: expected ROWSxCOLS", op=None)
            functions: dict[str, tuple[KnownOp, ...]] = {}
            _read(main, module, functions)
        except EmulationError as error:
            raise error.of(name) from None
        return cls(name, system, module, text, compiler, functions)


def _giving(value: str, ops: Sequence[Op]) -> Op | None:
    """The last of `ops` that gives `value`; None for an argument that none has written into."""
    return next((op for op in reversed(ops) if value in op.results), None)


def _read(function: Function, module: Module, functions: dict[str, tuple[KnownOp, ...]]) -> None:
    """Check `function` and those that it calls, and put their ops into `functions`."""
    if function.name in functions:
        return
    functions[function.name] = ()
    known: set[str] = set()
    for argument in function.arguments:
        _check_layouts(None, [argument.type], f"argument {argument.name} of {function.name}")
        known.add(argument.name)
    ops = []
    for op in function.ops:
        found = _known(op, module.resources)
        _check_layouts(op, op.operand_types, "an operand")
        _check_layouts(op, op.result_types, "a result")
        if missing := [name for name in op.operands if name not in known]:
            raise EmulationError(
                f"its operand {missing[0]} is not there: no op before it gives it, or it is deallocated", op=op
            )
        if op.name == control.DEALLOCATE:
            known -= set(op.operands)
            continue
        if found.op is not op and function is not module.main:
            raise EmulationError("it writes into a tensor of the function that calls it: not emulated", op=op)
        known |= set(op.results)
        ops.append(found)
        for name in op.calls:
            callee = module.functions.get(name)
            if callee is None or callee.kind == "cpu":
                raise EmulationError(f"it calls {name}, which the compiler leaves to the host's CPU", op=op)
            _read(callee, module, functions)
    if missing := [name for name in function.returned if name not in known]:
        raise EmulationError(
            f"{function.name} returns {missing[0]}, which no op gives, or which is deallocated", op=None
        )
    if len(function.returned) != len(function.results):
        raise EmulationError(
            f"{function.name} returns {len(function.returned)} of {len(function.results)} values", op=None
        )
    functions[function.name] = tuple(ops)


def _known(op: Op, resources: Mapping[str, str]) -> KnownOp:
    """`op` with its attributes. Raises EmulationError for one that the emulator has no meaning for."""
    named, writes = control.ATTRIBUTES.get(op.name), None
    if named is None:
        meaning = meanings().get(op.name)
        if meaning is None:
            raise EmulationError("the emulator does not know this op", op=op, hint="nothing of the program was run")
        named, writes = meaning.attributes | HOW, meaning.writes
    try:
        found = attributes.parse(op.attributes, resources)
    except attributes.AttributeTextError as error:
        raise EmulationError(str(error), op=op) from None
    if strange := sorted(found.keys() - named):
        value = found[strange[0]]
        raise EmulationError(
            f"the emulator does not know its attribute {strange[0]} = {value}", op=op,
            hint="nothing of the program was run",
        )  # fmt: skip
    if writes is not None:  # from there on the tensor that it writes into is what it gives
        op = replace(op, results=(op.operands[writes],), result_types=(op.operand_types[writes],))
    return KnownOp(op, found)


def _check_layouts(op: Op | None, kinds: Iterable[Tensor | None], what: str) -> None:
    for kind in kinds:
        if kind is not None and (kind.layout is None or element_of(kind) not in KNOWN):
            of = kind.element if kind.layout is None else f"{kind.layout}"
            raise EmulationError(f"{what} has a layout that is not known ({of})", op=op)
