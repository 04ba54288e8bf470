"""Out of memory: the test fails in words, and the next one runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# 256 TiB: more than a process can address, so that no machine ever gives a byte of it.
INNER = """
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pytest_tt.compare.tree import flatten

SIDE = 2**23


class Large(nn.Module):
    @nn.compact
    def __call__(self, x):
        self.param("small", nn.initializers.normal(), (4,))
        return x * self.param("large", nn.initializers.normal(), (SIDE, SIDE))[0, 0]


class LargeNNX(nnx.Module):
    def __init__(self, rngs):
        self.w = nnx.Param(jax.random.normal(rngs.params(), (SIDE, SIDE)))
        self.b = nnx.Param(jax.random.normal(rngs.params(), (4,)))


def large(x):
    return jax.random.normal(jax.random.key(0), (SIDE, SIDE)).at[0].set(x[0]), x + 1


def test_linen(cpu_init_params):
    cpu_init_params(Large(), jnp.ones(()))

def test_nnx(cpu_init_params):
    cpu_init_params(LargeNNX)

def test_not_under_jit(cpu_init_params):
    cpu_init_params(lambda: LargeNNX(nnx.Rngs(0)))

def test_input(cpu_init_params, tt_device):
    cpu_init_params(nn.Dense(2), jax.jit(large)(jax.device_put(jnp.ones(3), tt_device))[1])

def test_execute(tt_jit):
    tt_jit(large)(jnp.ones(3))

def test_place(tt_jit):
    tt_jit(lambda x: x[0])(np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (SIDE, SIDE), (0, 0)))

def test_compare():
    with pytest.raises(ValueError, match="leaf 'b' could not be computed: .*emory"):
        flatten({"a": np.ones(2), "b": jax.jit(large)(jnp.ones(3))[1]})

def test_after(tt_jit, cpu_init_params):
    variables = cpu_init_params(nn.Dense(2), jnp.ones((1, 3)))
    assert tt_jit(nn.Dense(2).apply)(variables, jnp.ones((1, 3))).shape == (1, 2)
"""


def test_out_of_memory_fails_the_test_and_no_other(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(INNER)
    # Read before it is there, such an array is waited for for ever.
    result = pytester.runpytest_subprocess("-p", "pytest_tt", "-W", "error", "-v", timeout=120)
    result.assert_outcomes(passed=2, failed=6)
    result.stdout.fnmatch_lines(["*::test_after PASSED*"])
    text = result.stdout.str()
    made = "out of memory on the host for the parameters that cpu_init_params initialises, 262144.0 GiB in 2 arrays: "
    assert text.count(f"\n{made}") == 2, "linen and nnx"
    placed = "out of memory on the chips for an argument of <lambda>, 262144.0 GiB in 1 array: "
    result.stdout.fnmatch_lines([f"E *pytest_tt.compiler.memory.TTMemoryError: {placed}*"])
    result.stdout.fnmatch_lines(["out of memory for an input of cpu_init_params, 12 bytes in 1 array: *"])
    result.stdout.fnmatch_lines(["E *large needs *.0 GiB on each chip: arguments, results and temporaries"])
