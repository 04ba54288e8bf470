"""Operands that an op may have or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.emulator.values import integers

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


def spread(step: Step, operands: tuple[jax.Array | None, ...], count: int) -> list[jax.Array | None]:
    """The `count` operands of an op in its order, None for each that ``operandSegmentSizes`` says is not there.

    Raises EmulationError if the attribute does not fit.
    """
    sizes = integers(step, "operandSegmentSizes", count)
    if any(size not in (0, 1) for size in sizes) or sum(sizes) != len(operands):
        raise step.error(f"operandSegmentSizes is {sizes}: expected 0 or 1 each, {len(operands)} in all")
    given = iter(operands)
    return [next(given) if size else None for size in sizes]
