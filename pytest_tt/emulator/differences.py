"""Where the program that TT's compiler made leaves what the user wrote, op by op; and which ops cost most accuracy.

What an op should give is what the equations of the program give in the simulation. An op is compared if it is the last
one of its equation (by the name and line that the compiler keeps) and its tensor has the equation's shape, whole or
split along axes of the mesh; fused ops, and those that the compiler arranges otherwise, are not compared. How many
were, a `Difference` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.emulator import control
from pytest_tt.emulator.errors import place_of
from pytest_tt.emulator.program import MOVES
from pytest_tt.emulator.reference import equations
from pytest_tt.emulator.sharding import ORDERS, position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.emulator.numerics import Numerics
    from pytest_tt.emulator.reference import Equation
    from pytest_tt.emulator.run import Emulator
    from pytest_tt.tt_compiler.ttnn_module import Op

AGREES, AGREES_IN_16_BITS = 1e-4, 2e-2
"""Relative L2 up to which an exact value is that of the simulation; the other where that rounds to 16 bits."""

# Before whole tensors are compared, this many elements are, to this share of the largest of them.
_LOOKED_AT, _NEAR = 16, 0.1
# So many of the ops that could not be compared are named.
_NAMED = 5
# The last part of a name. The compiler names the ops that it makes of one by that name and an ending:
# dot_general_all_reduce_4d.
_PRIMITIVE = re.compile(r"[^/]*$")


@dataclass(frozen=True, slots=True)
class Difference:
    """The first op whose exact value is not that of the simulation."""

    op: Op
    equation: Equation
    """What the op should give."""
    error: float
    """Relative L2, of the chip that is farthest away."""
    missing: tuple[Equation, ...]
    """Operands of the equation that no op before gives: perhaps the compiler left them out."""
    compared: int
    """Ops up to this one that were compared; they agree."""
    uncompared: int
    """Ops up to this one that could not be compared."""
    between: tuple[Op, ...]
    """Those of them that it is computed from, behind the last ones that agree: it may begin there. Without moves."""

    def __str__(self) -> str:
        place = place_of(self.op) or self.op.location.name
        text = f"{self.op.name} at {place} is the first whose value differs (rel L2 {self.error:.1e} to "
        text += f"{self.equation.primitive} in the simulation); of the ops before it {self.compared} agree"
        text += f", {self.uncompared} could not be compared" if self.uncompared else ""
        return f"{text}{self.doubts}"

    @property
    def doubts(self) -> str:
        """What else may be the cause: ``; no op before it gives tanh at model.py:12``. Empty if nothing is known."""
        text = ""
        if self.missing:
            text += f"; no op before it gives {', '.join(map(str, self.missing))}"
        if self.between:
            named = [f"{op.name} at {place_of(op) or op.location.name}" for op in self.between[-_NAMED:]]
            text += f"; it is computed from {', '.join(named)}, which could not be compared"
        return text


@dataclass(frozen=True, slots=True)
class Cost:
    """What an op costs in accuracy on the chip."""

    op: Op
    error: float
    """Relative L2 of its value on the chip to its exact value."""
    growth: float
    """By how much that is more than the largest error of its operands."""

    def __str__(self) -> str:
        place = place_of(self.op) or self.op.location.name
        return f"{self.op.name} at {place}: rel L2 {self.error:.1e}, {self.growth:+.1e} of it by this op"


def first_difference(emulator: Emulator, jaxpr: Any, leaves: Sequence[Any]) -> Difference | None:
    """The first op of an exact `emulator` that differs from the simulation, None if no compared op does.

    `jaxpr` is the program's, ``jitted.trace(…).jaxpr``, `leaves` all leaves of the arguments, as for a call.
    """
    known = equations(jaxpr, emulator.placed(leaves))
    values = [np.asarray(equation.value) for equation in known]
    rounds = any(value.dtype.itemsize == 2 and value.dtype.kind in "fV" for value in values)
    agrees = AGREES_IN_16_BITS if rounds else AGREES
    by_place: dict[str | None, list[int]] = {}
    by_size: dict[int, list[int]] = {}
    for number, equation in enumerate(known):
        by_place.setdefault(equation.location.place, []).append(number)
        by_size.setdefault(values[number].size, []).append(number)
    grid = emulator.program.grid
    ops = emulator.program.ops
    users: dict[str, list[Op]] = {}
    for op in ops:
        for operand in op.operands:
            users.setdefault(operand, []).append(op)
    by_value = {name: op for op in ops for name in op.results}
    agreed: set[str] = set()
    given: set[int] = set()
    compared = uncompared = 0
    for op, shares in emulator.observe(leaves):
        of = _of(op, known, by_place)
        candidates = [number for number in of if _fits(known[number], values[number], shares, grid)]
        same = [
            number
            for size in {shares[0, 0].size * times for times in (1, grid[0], grid[1], grid[0] * grid[1])}
            for number in by_size.get(size, ())
            if _near(known[number], values[number], shares)
            and _error(known[number], values[number], shares, grid) <= agrees
        ]
        given.update(same)
        agreed.update(op.results if same else ())
        last = not any(_of(user, known, by_place) == of for user in users.get(op.results[0], ()))
        if not candidates or not last:
            uncompared += not same
            compared += bool(same)
        elif same:
            compared += 1
        else:
            errors = {number: _error(known[number], values[number], shares, grid) for number in candidates}
            best = min(candidates, key=errors.__getitem__)
            missing = tuple(known[n] for n in known[best].operands if n not in given and known[n].operands)
            named = emulator.program.computing(op)
            return Difference(
                named, known[best], errors[best], missing, compared, uncompared,
                _between(op, named, by_value, agreed),
            )  # fmt: skip
    return None


def costs(emulator: Emulator, numerics: Numerics, leaves: Sequence[Any], count: int = 10) -> tuple[Cost, ...]:
    """The `count` ops whose values on the chip move farthest from the exact ones, the dearest first.

    `numerics` are those of the chip; the program of `emulator` is executed exactly beside it.
    """
    found = emulator.errors(leaves, numerics)
    error_of: dict[str, float] = {}
    costs = []
    for op, error in found:
        before = max((error_of.get(operand, 0.0) for operand in op.operands), default=0.0)
        error_of.update(dict.fromkeys(op.results, error))
        costs.append(Cost(op, error, error - before))
    return tuple(sorted(costs, key=lambda cost: cost.growth, reverse=True)[:count])


def _between(op: Op, named: Op, by_value: dict[str, Op], agreed: set[str]) -> tuple[Op, ...]:
    """The ops that compute something from which `op` is computed, without `named`, behind those that agree."""
    found: dict[str, Op] = {}
    waiting = list(op.operands)
    while waiting:
        name = waiting.pop()
        before = by_value.get(name)
        if before is None or name in found or name in agreed or before.name in control.ATTRIBUTES:
            continue
        found[name] = before
        waiting += before.operands
    number = {name: at for at, name in enumerate(by_value)}
    ops = [found[name] for name in sorted(found, key=number.__getitem__)]
    return tuple(each for each in ops if each is not named and each.short_name not in MOVES)


def _of(op: Op, known: Sequence[Equation], by_place: dict[str | None, list[int]]) -> list[int]:
    """The numbers of the equations that an op may come from: at its line, and of a name with which its own begins."""
    found = _PRIMITIVE.search(op.location.name)
    name = found[0] if found else op.location.name
    fits = [
        number
        for number in by_place.get(op.location.place, ())
        if name == known[number].primitive or name.startswith(f"{known[number].primitive}_")
    ]
    longest = max((len(known[number].primitive) for number in fits), default=0)
    return [number for number in fits if len(known[number].primitive) == longest]


def _ways(whole: tuple[int, ...], share: tuple[int, ...], grid: tuple[int, int]) -> list[tuple[tuple[int, ...], ...]]:
    """The ways in which `whole` can be split among the chips into `share`: for each dimension the axes, outermost
    first."""
    if len(whole) != len(share):
        return []
    choices: list[list[tuple[int, ...]]] = []
    for size, part in zip(whole, share, strict=True):
        fits = [order for order in ((), *ORDERS) if part * prod(grid[axis] for axis in order) == size]
        choices.append([order for order in fits if all(grid[axis] > 1 for axis in order)] or fits[:1])
    found = []
    for way in product(*choices):
        used = [axis for order in way for axis in order]
        if len(used) == len(set(used)):
            found.append(way)
    return found


def _fits(equation: Equation, value: Any, shares: Any, grid: tuple[int, int]) -> bool:
    """Whether the shares can be what the chips have of the equation's value."""
    return value.shape == shares.shape if equation.by_chip else bool(_ways(value.shape, shares.shape[2:], grid))


def _near(equation: Equation, whole: Any, shares: Any) -> bool:
    """Whether a few elements of the first chip's share are near to those of `whole`, where it begins in any case."""
    share = shares[0, 0]
    if equation.by_chip:
        if whole.shape != shares.shape:
            return False
        whole = whole[0, 0]
    if whole.ndim != share.ndim or any(size > of for size, of in zip(share.shape, whole.shape, strict=True)):
        return False
    if not share.size:
        return True
    at = np.unravel_index(np.linspace(0, share.size - 1, _LOOKED_AT, dtype=np.int64), share.shape)
    expected, actual = whole[at].astype(np.float64), share[at].astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(actual - expected) <= _NEAR * np.maximum(np.abs(expected).max(), np.abs(actual).max())
    return bool((near | (actual == expected) | (np.isnan(actual) & np.isnan(expected))).all())


def _error(equation: Equation, whole: Any, shares: Any, grid: tuple[int, int]) -> float:
    """Relative L2 of the shares ``[rows, columns, …]`` to `whole`, split in the way that fits best; that of the chip
    which is farthest away. Infinite if it cannot be split so."""
    scale = float(np.linalg.norm(whole.astype(np.float64))) or 1.0
    chips = list(product(range(grid[0]), range(grid[1])))
    if equation.by_chip:
        same = whole.shape == shares.shape
        return max(_apart(whole[chip], shares[chip], scale) for chip in chips) if same else float("inf")
    best = float("inf")
    for way in _ways(whole.shape, shares.shape[2:], grid):
        worst = 0.0
        for chip in chips:
            held = (position(chip, order, grid) for order in way)
            part = tuple(slice(at * size, (at + 1) * size) for at, size in zip(held, shares.shape[2:], strict=True))
            worst = max(worst, _apart(whole[part], shares[chip], scale))
        best = min(best, worst)
    return best


def _apart(expected: Any, actual: Any, scale: float) -> float:
    """Relative L2 of what a chip has, to `scale` where it should have zeros; infinite where only one is not finite."""
    expected, actual = expected.astype(np.float64), actual.astype(np.float64)
    norm = float(np.linalg.norm(expected)) or scale
    unlike = ~((actual == expected) | (np.isnan(actual) & np.isnan(expected)))
    apart = np.where(unlike, actual - expected, 0)
    return float(np.linalg.norm(apart)) / norm if np.isfinite(apart).all() else float("inf")
