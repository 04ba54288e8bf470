"""Executes a program op by op, each a program of its own for XLA, which compiles those of one kind once.

In one program XLA has a copy of an op at each place where it is, so that twelve layers take it twelve times as long as
one. Op by op, a call dispatches as often as there are ops, which costs little beside what large ones compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import PartitionSpec

from pytest_tt.emulator import control
from pytest_tt.emulator.machine import AXES, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jax.sharding import Mesh

    from pytest_tt.emulator.program import KnownOp

SHARES = PartitionSpec(*AXES)
"""Of arrays ``[rows, columns, …]`` that hold what each chip has."""


@dataclass(frozen=True, kw_only=True)
class OpByOp(Machine):
    """All chips of `grid`, a mesh with the axes `AXES`. Its values are `SHARES`."""

    grid: Mesh
    options: Mapping[str, Any]
    """For XLA."""

    def everywhere(self, function: Callable[..., Any], **specs: Any) -> Callable[..., Any]:
        """`function`, executed on each chip, as one program. `specs`: those of jax.shard_map."""
        mapped = jax.shard_map(function, mesh=self.grid, check_vma=False, **specs)
        return jax.jit(mapped, compiler_options=dict(self.options))

    def _step(self, known: KnownOp, operands: list[Any]) -> list[Any]:
        if known.op.name not in (control.WHILE, control.CASE):
            return super()._step(known, operands)
        function = self._traced.get(known.kind)
        if function is None:
            inside = Machine(self.program, self.numerics)  # what they call is a part of theirs
            function = self._compiled(lambda *values: tuple(inside._step(known, list(values))))
            self._traced[known.kind] = function
        return list(function(*operands))

    def _compiled(self, compute: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
        def on_a_chip(*values: Any) -> tuple[Any, ...]:
            results = compute(*(None if value is None else value[0, 0] for value in values))
            return tuple(None if result is None else result[None, None] for result in results)

        return self.everywhere(on_a_chip, in_specs=SHARES, out_specs=SHARES)
