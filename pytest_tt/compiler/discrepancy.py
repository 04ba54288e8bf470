"""How far the results of an emulated program are from the simulation's, and how far they may be without rounding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.compare.metrics import as_real, measure
from pytest_tt.emulator.builds import meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_tt.compiler.simulation import Simulation
    from pytest_tt.tt_compiler.card_program import CardProgram

EXACT_REL_L2 = 1e-4
"""rel L2 by which a program without rounding may leave the simulation: both compute in float32, in other orders."""

ROUNDED_REL_L2 = 5e-2
"""The same where the program holds bfloat16 or narrower: the simulation rounds after each op, 2**-9 at a time."""

GELU_REL_L2 = 1e-3
"""The same where TT's compiler puts one GELU in the place of the other, which differ by up to 5e-4: fused with a
product or with arithmetic it is the one with erf, while jax.nn.gelu's default is with tanh."""

_FUSED_GELU = re.compile(r'"gelu"|op_type = gelu\b')


def exact_bound(card: CardProgram, simulation: Simulation) -> float:
    """What the rel L2 of a program without rounding may be."""
    if simulation.rounds:
        return ROUNDED_REL_L2
    return GELU_REL_L2 if _another_gelu(card, simulation.text) else EXACT_REL_L2


def _another_gelu(card: CardProgram, text: str) -> bool:
    """Whether `card` may have one GELU in the place of the other, which the program, as StableHLO `text`, has."""
    build = meaning_of(card.compiler)
    forms = {build.gelu} if '"ttnn.gelu"' in card.ttnn else set()
    if _FUSED_GELU.search(card.ttnn):
        forms.add(build.fused_gelu)
    return ("erf" in forms and "stablehlo.tanh" in text) or ("tanh" in forms and "hlo.erf" in text)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Of the worst result. `leaf` is its number; `pcc` is None where correlation is undefined for all."""

    leaf: int
    rel_l2: float
    pcc: float | None

    @classmethod
    def of(cls, results: Iterable[Any], expected: Iterable[Any]) -> Discrepancy:
        """That of arrays from others of the same shapes. NaN and Inf in other places than there: an infinite one."""
        worst, least = (0.0, 0), None
        for number, (here, there) in enumerate(zip(results, expected, strict=True)):
            rel_l2, pcc = _of_leaf(as_real(np.asarray(here)), as_real(np.asarray(there)))
            worst = max(worst, (rel_l2, -number))
            least = pcc if least is None or (pcc is not None and pcc < least) else least
        return cls(-worst[1], worst[0], least)


def _of_leaf(here: Any, there: Any) -> tuple[float, float | None]:
    if here.size == 0:
        return 0.0, None
    numbers = measure(here, there)
    if not numbers.finite and not _same_where_not_finite(here, there):
        return float("inf"), numbers.pcc
    return numbers.rel_l2, numbers.pcc


def _same_where_not_finite(here: Any, there: Any) -> bool:
    a, b = here.astype(np.float32), there.astype(np.float32)
    special = ~(np.isfinite(a) & np.isfinite(b))
    return bool(np.array_equal(a[special], b[special], equal_nan=True))
