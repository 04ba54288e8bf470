"""Which arguments are weights, and the mark in the module: no compiler is needed."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from pytest_tt.tt_compiler.weights import marked, weights_of

VARIABLES = {"params": {"dense": {"bias": 1, "kernel": 2}}, "batch_stats": {"mean": 3}}


def test_variables_of_a_linen_module_are_weights() -> None:
    assert weights_of((VARIABLES, {"x": 4}), {}, names=("variables", "inputs")) == {
        0: "variables/batch_stats/mean",
        1: "variables/params/dense/bias",
        2: "variables/params/dense/kernel",
    }
    assert weights_of((4,), {"y": 5, "variables": VARIABLES}) == {
        1: "variables/batch_stats/mean",
        2: "variables/params/dense/bias",
        3: "variables/params/dense/kernel",
    }
    assert weights_of(({"kernel": 1}, [2, 3]), {}) == {}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (0, {0: "kernels/0", 1: "kernels/1"}),
        ("kernels", {0: "kernels/0", 1: "kernels/1"}),
        (-1, {2: "x"}),
        (("x", "scale"), {2: "x", 3: "scale"}),
        ([0, "scale"], {0: "kernels/0", 1: "kernels/1", 3: "scale"}),
        ((), {}),
    ],
)
def test_chosen_arguments(chosen: Any, expected: dict[int, str]) -> None:
    assert weights_of(([1, 2], 3), {"scale": 4}, chosen, ("kernels", "x")) == expected


@pytest.mark.parametrize("chosen", [2, -3, "kernel", (0, "bias")])
def test_what_is_not_an_argument(chosen: Any) -> None:
    with pytest.raises(ValueError, match=r"is not an argument of this call: expected some of kernels, x, scale"):
        weights_of(([1, 2], 3), {"scale": 4}, chosen, ("kernels", "x"))


def test_marks_stand_before_what_uses_the_argument() -> None:
    def function(params: dict[str, Any], x: Any) -> Any:
        return x @ params["kernel"] + params["kernel"][0]

    shape = jax.ShapeDtypeStruct((8, 8), np.float32)
    traced = jax.jit(function).trace({"kernel": shape}, shape)
    module = traced.lower(lowering_platforms=("tt",)).compiler_ir("stablehlo")
    copy = marked(module, weights_of(({"kernel": shape}, shape), {}, 0, ("params", "x")))
    assert "tt.mark_argument" not in str(module)
    assert marked(module, {}) is module
    lines = [line.strip() for line in str(copy).splitlines()]
    (mark,) = (line for line in lines if "tt.mark_argument" in line)
    assert mark.startswith("%0 = stablehlo.custom_call @tt.mark_argument(%arg0)")
    assert '{ttcore.argument_type = "parameter", ttir.name = "params/kernel"}' in mark
    others = [line for line in lines if line.startswith("%") and line != mark]
    assert sum("%0" in line for line in others) == 2
    assert not any("%arg0" in line for line in others)
    assert copy.operation.verify()
