"""Executes the functions of a program on one chip, op by op: within jax.shard_map, so on all chips at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pytest_tt.emulator import control
from pytest_tt.emulator.attributes import Opaque
from pytest_tt.emulator.elements import INTEGERS, element_of
from pytest_tt.emulator.errors import EmulationError
from pytest_tt.emulator.registry import meanings
from pytest_tt.emulator.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tt.emulator.numerics import Numerics
    from pytest_tt.emulator.program import EmulatedProgram, KnownOp
    from pytest_tt.tt_compiler.ttnn_module import Op, Tensor

_CONVERT = ("from_device", "to_dtype", "to_layout", "to_memory_config", "typecast")
"""Ops that convert what they are given, and compute nothing."""
_KEEP = (
    *_CONVERT, "all_gather", "assign", "clone", "concat", "mesh_partition", "permute", "repeat", "repeat_interleave",
    "reshape", "slice_static", "to_device", "transpose",
)  # fmt: skip
"""Ops whose result holds elements of their operands: in tensors of the same type nothing is rounded."""
AXES = ("rows", "columns")
"""The axes of the mesh of chips: cluster axis 0 and 1 of the compiler's collectives."""


@dataclass(frozen=True)
class Machine:
    """One chip. `watch` is called with each op of the main function and its results, once they are computed."""

    program: EmulatedProgram
    numerics: Numerics
    watch: Callable[[Op, Sequence[Any]], None] | None = None
    _traced: dict[object, Callable[..., Any]] = field(default_factory=dict, repr=False)

    def main(self, values: Sequence[Any]) -> list[Any]:
        """The results of the program for the arguments of this chip."""
        return self._run(self.program.module.main.name, values, self.watch)

    def call(self, name: str, values: Sequence[Any]) -> list[Any]:
        """The results of the function called `name`."""
        return self._run(name, values, None)

    def _run(self, name: str, values: Sequence[Any], watch: Callable[[Op, Sequence[Any]], None] | None) -> list[Any]:
        function, ops = self.program.module.functions[name], self.program.functions[name]
        last = {operand: known for known in ops for operand in known.op.operands}
        held = dict(zip((argument.name for argument in function.arguments), values, strict=True))
        for known in ops:
            op = known.op
            results = self._step(known, [held[operand] for operand in op.operands])
            held.update(zip(op.results, results, strict=True))
            if watch is not None:
                watch(op, results)
            for operand in set(op.operands).difference(function.returned, op.results):
                if last[operand] is known:  # executed op by op, it has memory
                    del held[operand]
        return [held[value] for value in function.returned]

    def _step(self, known: KnownOp, operands: list[Any]) -> list[Any]:
        op = known.op
        if op.name in (control.CALL, control.LOAD_CACHED):
            return self.call(op.calls[0], operands)
        if op.name == control.DEVICE:
            return [None]
        if op.name == control.BARRIER:
            return operands
        if op.name == control.WHILE:
            return self._loop(known, operands)
        if op.name == control.CASE:
            return self._case(op, operands)
        return list(self._function(known)(*operands))

    def _function(self, known: KnownOp) -> Callable[..., Any]:
        """What computes an op. The same for equal ops, which a program has many of: jax traces it once."""
        op = known.op
        function = self._traced.get(known.kind)
        if function is None:
            meaning = meanings()[op.name].function
            step = Step(op, known.attributes, self.numerics, AXES, self.program.grid, self.program.build, self)

            def compute(*operands: Any) -> tuple[Any, ...]:
                try:
                    value = meaning(step, *operands)
                except (TypeError, ValueError) as error:
                    raise EmulationError(f"it cannot be computed: {error}", op=op) from error
                values = value if isinstance(value, tuple) else (value,)
                if len(values) != len(op.result_types):
                    raise EmulationError(f"it has {len(op.result_types)} results, {len(values)} were computed", op=op)
                return tuple(
                    one if kind is None else self._stored(one, kind, op)
                    for one, kind in zip(values, op.result_types, strict=True)
                )

            function = self._traced[known.kind] = self._compiled(compute)
        return function

    def _compiled(self, compute: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
        """`compute`, which gives an op's results of its operands, as a function that jax traces once."""
        return jax.jit(compute)

    def _stored(self, value: Any, kind: Tensor, op: Op) -> Any:
        """`value` as the tensor of type `kind` holds it."""
        if tuple(value.shape) != kind.shape:
            raise EmulationError(f"a result has the shape {tuple(value.shape)}, the program says {kind.shape}", op=op)
        element = element_of(kind)
        if element in INTEGERS:
            return value.astype(INTEGERS[element])
        value = value.astype(jnp.float32)
        given = {element_of(each) for each in op.operand_types if each is not None}
        if op.short_name in _KEEP and given == {element} and not element.startswith("bfp"):
            return value  # not so of blocks: the largest of a block may have come into another one
        return self.numerics.store(value, element, computed=op.short_name not in _CONVERT)

    def _case(self, op: Op, operands: list[Any]) -> list[Any]:
        """Two branches: the second where the value is true; more: by number, moved into the range."""
        index, *rest = operands
        count = len(op.calls)
        number = (index != 0 if count == 2 else index).astype(jnp.int32).reshape(())
        branches = [lambda *values, name=name: tuple(self.call(name, values)) for name in op.calls]
        return list(jax.lax.switch(jnp.clip(number, 0, count - 1), branches, *rest))

    def _loop(self, known: KnownOp, operands: list[Any]) -> list[Any]:
        """The first `state_count` operands are the state; the others are the same in each turn."""
        op, named = known.op, known.attributes
        count, outputs, body = named["state_count"], named["output_indices"], named["body_program"]
        if not isinstance(count, int) or not isinstance(outputs, tuple) or not isinstance(body, str):
            raise EmulationError("state_count, output_indices or body_program is in a form that is not known", op=op)
        rest = operands[count:]

        def turn(state: tuple[Any, ...]) -> tuple[Any, ...]:
            new = list(state)
            for at, value in zip(outputs, self.call(body, [*state, *rest]), strict=True):
                new[int(at)] = value  # type: ignore[arg-type]
            return tuple(new)

        start = tuple(operands[:count])
        condition = named.get("condition_program")
        if isinstance(condition, str):
            state = jax.lax.while_loop(
                lambda state: (self.call(condition, [*state, *rest])[0] != 0).reshape(()), turn, start
            )
        else:
            first, limit, by = (self._bound(known, name, operands) for name in ("initial", "limit", "step"))
            turns = jnp.maximum((limit - first + by - 1) // by, 0)
            state = jax.lax.fori_loop(0, turns, lambda _, state: turn(state), start)
        return [state[int(at)] for at in outputs]  # type: ignore[arg-type]

    @staticmethod
    def _bound(known: KnownOp, name: str, operands: list[Any]) -> Any:
        """A bound of a counted loop: a number, or an operand by its number."""
        bound = known.attributes.get(name)
        if isinstance(bound, Opaque):
            constant, _, operand = bound.text.partition(",")
            if not operand:
                return int(constant)
            return operands[int(operand.split(":")[0])].reshape(()).astype(jnp.int32)
        raise EmulationError(f"the loop's bound {name} is in a form that is not known: {bound}", op=known.op)
