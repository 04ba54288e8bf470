"""Ops that draw random numbers: refused, because the chip's cannot be predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pytest_tt.emulator.registry import meaning

if TYPE_CHECKING:
    import jax

    from pytest_tt.emulator.step import Step


@meaning("rand", attributes="size low high seed")
@meaning("dropout", attributes="prob scale seed use_per_device_seed")
@meaning("rng_bit_generator", attributes="philox")
def random_numbers(step: Step, *operands: jax.Array) -> NoReturn:
    """Raises EmulationError: numbers of another generator than XLA's would differ from it without being wrong.

    `jax.random` with its usual keys (threefry) is integer arithmetic that the compiler spells out: that is executed.
    """
    raise step.error(
        "the chip draws these random numbers with a generator of its own: no result can be compared",
        "draw them on the host and pass them in, or use jax.random with threefry keys (jax.random.key(0), the default)",
    )
