"""The values that a program's own equations have in the simulation, each with the line of source that it comes from.

TT's compiler keeps the lines: what an op computes can be compared with what the equation at its line gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax

from pytest_tt.emulator.pairs import is_key
from pytest_tt.targets import jax_private
from pytest_tt.tt_compiler.locations import Frame, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

# Equations that only hold others, and where those stand. Loops and branches are one equation each: their bodies have
# other values in each turn. Under shard_map values are those of one chip: they are not looked at either.
_INSIDE = {
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat": "jaxpr",
    "remat2": "jaxpr", "checkpoint": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation of the program. `value` is its first result, whole, on all chips or split among them."""

    primitive: str
    location: Location
    operands: tuple[int, ...]
    """Numbers of the equations that give its operands."""
    value: Any

    def __str__(self) -> str:
        place = self.location.place
        return self.primitive if place is None else f"{self.primitive} at {place}"


def equations(jaxpr: Any, arguments: Sequence[Any]) -> tuple[Equation, ...]:
    """The equations of a closed jaxpr (``jitted.trace(…).jaxpr``) with their values for `arguments`, all its leaves."""
    found: list[tuple[str, Location, tuple[int, ...]]] = []

    def values(*given: Any) -> list[Any]:
        found.clear()
        computed: list[Any] = []
        _evaluate(jaxpr.jaxpr, jaxpr.consts, given, [-1] * len(given), found, computed)
        return computed

    computed = jax.jit(values)(*arguments)
    return tuple(Equation(*described, value) for described, value in zip(found, computed, strict=True))


def _evaluate(
    jaxpr: Any,
    consts: Sequence[Any],
    arguments: Sequence[Any],
    since: Sequence[int],
    found: list[tuple[str, Location, tuple[int, ...]]],
    computed: list[Any],
) -> tuple[list[Any], list[int]]:
    """The results of `jaxpr`, and the numbers of the equations that give them (-1: an argument); all are put into
    `found` and `computed`."""
    held: dict[Any, tuple[Any, int]] = {}
    for variable, value in zip(jaxpr.constvars, consts, strict=True):
        held[variable] = (value, -1)
    for variable, value, number in zip(jaxpr.invars, arguments, since, strict=True):
        held[variable] = (value, number)

    def read(atom: Any) -> tuple[Any, int]:
        return (atom.val, -1) if hasattr(atom, "val") else held[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        given, numbers = [value for value, _ in operands], [number for _, number in operands]
        inner = equation.params.get(_INSIDE.get(equation.primitive.name, ""))
        if inner is not None:
            body, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
            results, sources = _evaluate(body, constants, given, numbers, found, computed)
        else:
            results = jax_private.bind(equation, given)
            sources = [len(found)] * len(results)
            if results and hasattr(results[0], "shape") and not is_key(results[0].dtype):
                found.append((equation.primitive.name, _location(equation), tuple(n for n in numbers if n >= 0)))
                computed.append(results[0])
            else:
                sources = [-1] * len(results)
        for variable, value, number in zip(equation.outvars, results, sources, strict=True):
            held[variable] = (value, number)
    pairs = [read(atom) for atom in jaxpr.outvars]
    return [value for value, _ in pairs], [number for _, number in pairs]


def _location(equation: Any) -> Location:
    source = equation.source_info
    traceback = source.traceback
    frames = () if traceback is None else traceback.frames
    lines = tuple(Frame(frame.file_name, frame.line_num, frame.function_name) for frame in frames)
    return Location(f"{source.name_stack}/{equation.primitive.name}", lines)
