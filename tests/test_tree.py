"""Flattening of outputs and weights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from pytest_tt.compare.tree import flatten


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Record:
    loss: Any
    rest: Any


def test_names_of_nested_leaves() -> None:
    x = np.ones(2)
    tree = {"a": {"b": [x, x]}, "p": Pair(x, (x,)), "r": Record(1.5, None), 3: x}
    assert sorted(flatten(tree)) == ["3", "a/b/0", "a/b/1", "p/left", "p/right/0", "r/loss"]
    assert flatten(tree)["r/loss"].dtype == np.float64


def test_bare_array_and_empty_trees() -> None:
    assert list(flatten(np.ones(2))) == ["output"]
    assert list(flatten(3)) == ["output"]
    assert flatten({}) == flatten(None) == flatten([{}, ()]) == {}


def test_two_leaves_of_one_name() -> None:
    with pytest.raises(ValueError, match="two leaves are both named 'a/b'"):
        flatten({"a/b": 1, "a": {"b": 2}})


@pytest.mark.parametrize("leaf", ["text", b"bytes", object(), np.array(["x"]), {1, 2}])
def test_leaf_that_is_no_number(leaf: object) -> None:
    with pytest.raises(TypeError, match=r"leaf 'a/0' .* is not an array of numbers"):
        flatten({"a": [leaf]})


JAX_TREES = """
import jax, jax.numpy as jnp, numpy as np
from flax import linen as nn, nnx
from pytest_tt.golden import digest
from pytest_tt.compare.tree import flatten

x = jnp.arange(4, dtype=jnp.bfloat16)
assert flatten({"x": x})["x"].dtype.name == "bfloat16"
assert list(flatten(x)) == ["output"]

class Net(nn.Module):
    boxed: bool

    @nn.compact
    def __call__(self, x):
        init = nn.initializers.ones
        return nn.Dense(3, kernel_init=nn.with_partitioning(init, (None, "model")) if self.boxed else init)(x)

boxed = Net(True).init(jax.random.key(0), jnp.ones((1, 2)))
plain = Net(False).init(jax.random.key(0), jnp.ones((1, 2)))
assert sorted(flatten(boxed)) == sorted(flatten(plain)) == ["params/Dense_0/bias", "params/Dense_0/kernel"]
assert digest(boxed) == digest(plain) == digest(jax.tree.map(np.asarray, plain))

linear = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
assert sorted(flatten(nnx.state(linear))) == sorted(flatten(linear)) == ["bias", "kernel"], flatten(linear)

try:
    flatten({"key": jax.random.key(0)})
except TypeError as error:
    assert "leaf 'key'" in str(error)
else:
    raise AssertionError("a PRNG key is not an array of numbers")

mesh = jax.sharding.Mesh(np.array(jax.devices()).reshape(4), ("x",))
whole = np.arange(32.0, dtype=np.float32).reshape(8, 4)
spread = jax.device_put(whole, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x")))
assert (flatten(spread)["output"] == whole).all()
print("done")
"""


def test_trees_of_jax_and_flax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "4")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    done = subprocess.run([sys.executable, "-W", "error", "-c", JAX_TREES], capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr
