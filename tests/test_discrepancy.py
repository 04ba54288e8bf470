"""How far a program without rounding may be from the simulation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_tt.compiler.discrepancy import EXACT_REL_L2, GELU_REL_L2, ROUNDED_REL_L2, Discrepancy, exact_bound
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


def off(here: Any, there: Any, dtype: str = "float32") -> float:
    return Discrepancy.of([np.array(here, dtype)], [np.array(there, dtype)]).rel_l2


def test_the_worst_result_counts() -> None:
    right, wrong = np.array([1.0, 2, 3]), np.array([1.0, 2, 4])
    found = Discrepancy.of([right, wrong, right], [right] * 3)
    assert (found.leaf, found.rel_l2) == (1, pytest.approx(1 / 14**0.5))
    assert found.pcc == pytest.approx(np.corrcoef(right, wrong)[0, 1])
    assert Discrepancy.of([], []) == Discrepancy(0, 0.0, None)


def test_values_that_mean_never_hide_nothing() -> None:
    """Values of 1e6 and more are judged apart, those of integers with the others."""
    assert off([1, 2, -1e9], [1, 1, -1e9]) == pytest.approx(0.5**0.5)
    assert off([1, 2, -2e9], [1, 2, -1e9]) == pytest.approx(1)
    assert off([1e9, 2e9], [1e9, 1e9]) == pytest.approx(0.5**0.5)
    assert off([1, 2, 10**9], [1, 1, 10**9], "int32") < 1e-8


def test_what_is_not_finite_must_be_in_the_same_places() -> None:
    inf, nan = float("inf"), float("nan")
    assert off([1, -inf, nan], [1, -inf, nan]) == 0
    for here in ([1, inf, nan], [1, 2, nan], [nan, -inf, nan]):
        assert off(here, [1, -inf, nan]) == inf
