"""The backend emu: programs of ``tt_jit`` as TT's compiler made them, executed without rounding and as a chip rounds.

Without rounding, its results must be those of the simulation, or the compiler changed its meaning. With the chip's
numbers they are what a call returns.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pytest_tt.compiler.discrepancy import Discrepancy, exact_bound
from pytest_tt.emulator import differences
from pytest_tt.emulator.builds import meaning_of
from pytest_tt.emulator.errors import ChipsDisagreeError, EmulationError, place_of
from pytest_tt.emulator.numerics import EXACT, chip
from pytest_tt.emulator.pairs import is_key, split
from pytest_tt.emulator.run import Emulator
from pytest_tt.results.card import emulated_entry
from pytest_tt.targets.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_tt.compiler.card_check import CardCheck
    from pytest_tt.compiler.simulation import Simulation
    from pytest_tt.emulator.differences import Cost
    from pytest_tt.emulator.exports import Exports
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.lowering import Lowered
    from pytest_tt.tt_compiler.ttnn_module import Op

# Less than float32 resolves.
_NOTHING = 1e-7
# Ops whose numbers the chip draws itself: nobody can say which.
_RANDOM = ("rand", "dropout", "rng_bit_generator")


class TTEmulationWarning(UserWarning):
    """A program is of a build of TT's compiler of which the emulator does not know what its text leaves open."""


class OtherResultError(EmulationError):
    """What TT's compiler made of a program does not compute what the program says."""


@dataclass(frozen=True, slots=True)
class Emulation:
    """What emu does with the programs of one test."""

    check: CardCheck
    """It compiles them, for other systems too."""
    system: str
    """The one whose chips are emulated."""
    explain: bool
    """Whether the ops that cost most accuracy are looked for."""
    exports: Exports | None = None
    """Where programs are kept between runs as jax lowered them for the simulated chips."""
    numbers: Iterator[int] = field(default_factory=count)

    def compile(
        self,
        lower: Callable[[], Lowered],
        name: str,
        options: Mapping[str, str],
        artifact: Path | None,
        simulation: Simulation,
    ) -> EmulatedCall:
        """A program compiled for the system; `lower` gives what TT's compiler gets of it.

        Raises TTCompileError for one that a card could not run, EmulationError for one that the emulator does not
        understand.
        """
        __tracebackhide__ = True
        card = self.check.check(lower, name, options, artifact)[self.system]
        if not meaning_of(card.compiler).known:
            text = f"the emulator does not know {card.compiler}: it takes what a program's text leaves open to be as in"
            warnings.warn(TTEmulationWarning(f"{text} the builds that it knows"), stacklevel=7)
        return EmulatedCall(card, lower(), simulation, self)


class EmulatedCall:
    """One program of TT's compiler, ready to be called with the leaves of a function's arguments.

    `card` is the program. Raises EmulationError where the emulator does not understand it.
    """

    def __init__(self, card: CardProgram, lowered: Lowered, simulation: Simulation, emulation: Emulation) -> None:
        self.card = card
        self._lowered = replace(lowered, donated=())  # the arguments are wanted more than once
        self._donated = frozenset(lowered.donated)
        self._simulation = simulation
        self._emulation = emulation
        self._number = next(emulation.numbers)
        self._random = next((op for op in _RANDOM if op in card.ops), None)
        numerics = chip(SYSTEMS[card.system].arch)
        self._rounded = Emulator.of(card, self._lowered, simulation.mesh, numerics, emulation.exports)
        for number, op in self._rounded.program.written.items():
            if lowered.kept[number] not in self._donated:
                raise EmulationError(
                    f"it writes into argument {lowered.kept[number]} in place, which the caller keeps: on the card the "
                    "array that was passed changes", op=op, program=card.name,
                    hint="donate it (donate_argnums), or write into a copy",
                )  # fmt: skip
        self._entry = emulated_entry(card.name, card.system, card.mesh, f"{numerics.name} {numerics.arch}")
        self._record()

    @cached_property
    def _exact(self) -> Emulator:
        return self._rounded.by(EXACT)

    @cached_property
    def _bound(self) -> float:
        return exact_bound(self.card, self._simulation)

    def __call__(self, leaves: Sequence[Any], simulate: Callable[[], Any]) -> Any:
        """The results with the chip's numbers, in the tree of those of `simulate`, the function on simulated chips.

        Those of a program with random numbers of the chip's own are the simulation's. Raises OtherResultError where
        the program does not compute what the simulation does.
        """
        __tracebackhide__ = True
        if self._random is not None:
            reason = f"ttnn.{self._random} draws random numbers of the chip's own: the simulation's are taken"
            self._record(calls=self._entry["calls"] + 1, not_compared=reason)
            return simulate()
        # First, because the simulation may take the arguments' memory for its results (donate_argnums).
        try:
            exact = jax.block_until_ready(self._exact(*leaves))
        except ChipsDisagreeError as error:
            op, why = self._first_difference(leaves)
            sentence = error.sentence if op is None else f"{error.sentence}; {why}"
            raise EmulationError(
                sentence, op=op or error.op, program=self.card.name, hint=error.hint
            ) from None  # fmt: skip
        rounded = jax.block_until_ready(self._rounded(*leaves))
        if self._emulation.explain and not self._entry["calls"]:
            costs = differences.costs(self._exact, self._rounded.numerics, leaves)
            self._record(dearest=[_dear(cost) for cost in costs if cost.growth > _NOTHING])
        spare = [Spare(leaf) if number in self._donated else leaf for number, leaf in enumerate(leaves)]
        expected, tree = jax.tree.flatten(simulate())
        known = _comparable(expected)
        self._judge(spare, Discrepancy.of(_comparable(exact), known), Discrepancy.of(_comparable(rounded), known))
        return jax.tree.unflatten(tree, rounded)

    def _judge(self, spare: Sequence[Any], exact: Discrepancy, rounded: Discrepancy) -> None:
        """Note how far a call's results are from the simulation's. Raises OtherResultError."""
        __tracebackhide__ = True
        before = self._entry
        known = [pcc for pcc in (before["pcc"], rounded.pcc) if pcc is not None]
        self._record(
            calls=before["calls"] + 1,
            exact_rel_l2=max(before["exact_rel_l2"] or 0.0, exact.rel_l2),
            exact_bound=self._bound,
            rel_l2=max(before["rel_l2"] or 0.0, rounded.rel_l2),
            pcc=min(known, default=None),
        )
        if exact.rel_l2 <= self._bound:
            return
        result = self._lowered.results[exact.leaf]
        sentence = (
            f"TT's compiler computes something else: result{result.path} is off by rel L2 {exact.rel_l2:.1e} from the "
            f"simulation, computed without rounding (at most {self._bound:g})"
        )
        op, why = self._first_difference([leaf.array if isinstance(leaf, Spare) else leaf for leaf in spare])
        if op is None:
            op = self._exact.program.computing_result(exact.leaf)
        raise OtherResultError(f"{sentence}; {why}", op=op, program=self.card.name)

    def _first_difference(self, leaves: Sequence[Any]) -> tuple[Op | None, str]:
        """The first op whose value without rounding is not the simulation's, and what to say of it."""
        try:
            first = differences.first_difference(self._exact, self._simulation.jaxpr, leaves)
        # Whatever is in the way of looking for it, it is not what the test fails for.
        except Exception as error:
            return None, f"it may begin before this op ({type(error).__name__}: {error})"
        if first is None:
            return None, "it may begin before this op, in one that the simulation has no equal of"
        text = f"this op is the first that differs: by rel L2 {first.error:.1e} from {first.equation.primitive} there"
        return first.op, f"{text}{first.doubts}"

    def _record(self, **changes: Any) -> None:
        self._entry |= changes
        compiler = self.card.compiler
        self._emulation.check.recorder.emulated(str(compiler), self._number, dict(self._entry))


class Spare:
    """A copy of an argument that the simulation deletes, on the host until it is needed."""

    def __init__(self, leaf: Any) -> None:
        self._value, self._sharding = np.array(leaf), leaf.sharding

    @property
    def array(self) -> Any:
        """It, where it was."""
        return jax.device_put(self._value, self._sharding)


def _comparable(results: Sequence[Any]) -> list[Any]:
    """Keys of random numbers as their words."""
    return [split(result) if is_key(result.dtype) else result for result in results]


def _dear(cost: Cost) -> dict[str, Any]:
    return {"op": cost.op.name, "place": place_of(cost.op), "rel_l2": cost.growth}
