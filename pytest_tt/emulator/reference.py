"""The values that a program's own equations have in the simulation, each with the line of source that it comes from.

TT's compiler keeps the lines: what an op computes can be compared with what the equation at its line gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from pytest_tt.emulator.pairs import is_key
from pytest_tt.targets import jax_private
from pytest_tt.tt_compiler.locations import Frame, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

# Equations that only hold others, and where those stand. Loops and branches are one equation each: their bodies have
# other values in each turn.
_INSIDE = {
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat": "jaxpr",
    "remat2": "jaxpr", "checkpoint": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}  # fmt: skip


_AXES = 2
"""Of the meshes under whose shard_map equations are looked at: those of the compiler's grid."""


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation of the program. `value` is its first result, whole, on all chips or split among them."""

    primitive: str
    location: Location
    operands: tuple[int, ...]
    """Numbers of the equations that give its operands."""
    by_chip: bool
    """Whether it is one of those under shard_map: `value` is what each chip has, ``[rows, columns, …]``."""
    value: Any

    def __str__(self) -> str:
        place = self.location.place
        return self.primitive if place is None else f"{self.primitive} at {place}"


class _Found(NamedTuple):
    """An equation without its value. `operands`: -1 is no equation's, -2 - k is argument k of what was evaluated."""

    primitive: str
    location: Location
    operands: tuple[int, ...]
    by_chip: bool = False


def equations(jaxpr: Any, arguments: Sequence[Any]) -> tuple[Equation, ...]:
    """The equations of a closed jaxpr (``jitted.trace(…).jaxpr``) with their values for `arguments`, all its leaves."""
    found: list[_Found] = []

    def values(*given: Any) -> list[Any]:
        found.clear()
        computed: list[Any] = []
        _evaluate(jaxpr.jaxpr, jaxpr.consts, given, [-1] * len(given), found, computed)
        return computed

    computed = jax.jit(values)(*arguments)
    return tuple(
        Equation(one.primitive, one.location, tuple(n for n in one.operands if n >= 0), one.by_chip, value)
        for one, value in zip(found, computed, strict=True)
    )


def _evaluate(
    jaxpr: Any,
    consts: Sequence[Any],
    arguments: Sequence[Any],
    since: Sequence[int],
    found: list[_Found],
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
        elif equation.primitive.name == "shard_map" and len(equation.params["mesh"].axis_names) == _AXES:
            results, sources = _evaluate_on_each_chip(equation, given, numbers, found, computed)
        else:
            results = jax_private.bind(equation, given)
            sources = [len(found)] * len(results)
            if results and hasattr(results[0], "shape") and not is_key(results[0].dtype):
                found.append(_Found(equation.primitive.name, _location(equation), tuple(numbers)))
                computed.append(results[0])
            else:
                sources = [-1] * len(results)
        for variable, value, number in zip(equation.outvars, results, sources, strict=True):
            held[variable] = (value, number)
    pairs = [read(atom) for atom in jaxpr.outvars]
    return [value for value, _ in pairs], [number for _, number in pairs]


def _evaluate_on_each_chip(
    equation: Any, arguments: Sequence[Any], since: Sequence[int], found: list[_Found], computed: list[Any]
) -> tuple[list[Any], list[int]]:
    """As `_evaluate`, for an equation ``shard_map``: its own equations have the values of each chip."""
    params = equation.params
    axes, body = params["mesh"].axis_names, params["jaxpr"]
    inside: list[_Found] = []
    given: list[int] = []

    def on_a_chip(*shares: Any) -> tuple[list[Any], list[Any]]:
        inside.clear()
        values: list[Any] = []
        results, given[:] = _evaluate(body, (), shares, [-2 - k for k in range(len(shares))], inside, values)
        return results, [value[(None,) * len(axes)] for value in values]

    results, values = jax.shard_map(
        on_a_chip, mesh=params["mesh"], in_specs=tuple(params["in_specs"]),
        out_specs=(list(params["out_specs"]), jax.sharding.PartitionSpec(*axes)), check_vma=params["check_vma"],
    )(*arguments)  # fmt: skip
    first = len(found)

    def numbered(number: int) -> int:
        return first + number if number >= 0 else -1 if number == -1 else since[-2 - number]

    found.extend(one._replace(operands=tuple(map(numbered, one.operands)), by_chip=True) for one in inside)
    computed.extend(values)
    return results, [numbered(number) for number in given]


def _location(equation: Any) -> Location:
    source = equation.source_info
    traceback = source.traceback
    frames = () if traceback is None else traceback.frames
    lines = tuple(Frame(frame.file_name, frame.line_num, frame.function_name) for frame in frames)
    return Location(f"{source.name_stack}/{equation.primitive.name}", lines)
