"""``tt_jit(weights=…)``: which arguments are weights, for TT's compiler; simulated chips make no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]

IN_SIM = """
import numpy as np
import pytest

pytestmark = pytest.mark.tt(mesh="1x2")
X, W = np.ones((4, 8), np.float32), np.full((8, 8), 2, np.float32)


def product(power, w, x):
    return (x @ w) ** power


@pytest.mark.parametrize("weights", [None, (), 1, "w", [1, "x"]])
def test_numbers_are_the_same(tt_jit, weights):
    f = tt_jit(product, static_argnums=0, weights=weights)
    assert f(1, W, X)[0, 0] == f(1, W, x=X)[0, 0] == f.compile(1, W, X).compiled(W, X)[0, 0] == 16
    assert "mark_argument" not in f.programs[0].stablehlo


@pytest.mark.parametrize("weights, named", [("v", "'v'"), (3, "3"), ("power", "'power'"), (0, "'power'")])
def test_mistakes(tt_jit, weights, named):
    with pytest.raises(ValueError, match=f"weights: {named} is not an argument of this call: expected some of w, x"):
        tt_jit(product, static_argnums=0, weights=weights)(1, W, X)
"""


def test_simulated_chips(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(IN_SIM)
    run_tt().assert_outcomes(passed=9)


COMPILED = """
from functools import partial

import jax
import numpy as np
import pytest
from flax import linen as nn


class Pair(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(32)(nn.relu(nn.Dense(64)(x)))


X = jax.ShapeDtypeStruct((32, 32), np.float32)
PARAMS = jax.eval_shape(lambda: Pair().init(jax.random.key(0), np.ones((32, 32), np.float32)))


def converted(program):
    return program.ops.get("to_layout", 0)


@pytest.mark.tt(mesh="1x1")
def test_weights_are_converted_ahead(tt_compile):
    compiled = partial(tt_compile, Pair().apply, PARAMS, X, system="n150")
    marked, unmarked = compiled(), compiled(weights=())
    assert converted(marked) < converted(unmarked)
    assert compiled(weights="variables").ops == compiled(weights=0).ops == marked.ops
    options = {"experimental_weight_dtype": "bfp_bf8"}
    assert "tile<32x32, bfp_bf8>" in compiled(compiler_options=options).ttnn
    assert "tile<32x32, bfp_bf8>" not in compiled(compiler_options=options, weights=()).ttnn


@pytest.mark.tt(mesh="1x2")
def test_sharded_weights(tt_compile):
    split = {"kernel": jax.P(None, "model"), "bias": jax.P("model")}
    summed = {"kernel": jax.P("model", None), "bias": jax.P()}
    specs = {"params": {"Dense_0": split, "Dense_1": summed}}
    compiled = partial(tt_compile, Pair().apply, PARAMS, X, system="n300", in_shardings=(specs, jax.P()))
    marked, unmarked = compiled(), compiled(weights=())
    assert converted(marked) < converted(unmarked)
    assert marked.collectives == unmarked.collectives == {"all-reduce": 1}
"""


def test_by_the_compiler(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(COMPILED)
    result = run_tt("-rs")
    outcomes = result.parseoutcomes()
    if "skipped" in outcomes:
        result.stdout.fnmatch_lines(["*TT's compiler is not installed*"])
        pytest.skip("needs pytest-tt[compiler]")
    result.assert_outcomes(passed=2)
