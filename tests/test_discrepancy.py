"""How far a program without rounding may be from the simulation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_tt.compiler.discrepancy import EXACT_REL_L2, GELU_REL_L2, ROUNDED_REL_L2, exact_bound
from pytest_tt.tt_compiler.card_program import Compiler

FUSED, ARITHMETIC, ALONE = 'activation = "gelu"', "<op_type = gelu>", '"ttnn.gelu"(%0)'
TANH, ERF = "stablehlo.tanh %0", "chlo.erf %0"


def bound(ttnn: str, text: str, *, rounds: bool = False, version: str = "0.1.3") -> float:
    card: Any = SimpleNamespace(ttnn=ttnn, compiler=Compiler("jax-tt-plugin", version, None))
    simulation: Any = SimpleNamespace(text=text, rounds=rounds)
    return exact_bound(card, simulation)


@pytest.mark.parametrize(
    ("ttnn", "text", "expected"),
    [
        (FUSED, TANH, GELU_REL_L2), (ARITHMETIC, TANH, GELU_REL_L2), (ALONE, TANH, EXACT_REL_L2),
        (FUSED, ERF, EXACT_REL_L2), (ALONE, ERF, GELU_REL_L2), ('"ttnn.tanh"(%0)', TANH, EXACT_REL_L2),
    ],
)  # fmt: skip
def test_a_gelu_in_the_place_of_the_other(ttnn: str, text: str, expected: float) -> None:
    assert bound(ttnn, text) == expected


def test_a_build_that_is_not_known_has_the_one_with_erf() -> None:
    assert bound(ALONE, TANH, version="9") == GELU_REL_L2


def test_a_simulation_that_rounds() -> None:
    assert bound(ALONE, TANH, rounds=True) == ROUNDED_REL_L2
