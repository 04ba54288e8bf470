"""cpu_init_params: made on the host, the same everywhere, placed as asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    RunTT = Callable[..., pytest.RunResult]

COMMON = """
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec as P

KERNEL = nn.initializers.lecun_normal()
X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)

def bits(tree):
    def one(leaf):
        key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if key else leaf).tobytes()
    return [one(leaf) for leaf in jax.tree.leaves(tree)]

def specs(tree, mesh):
    "{path: spec} of what is split, after a check that all of it is on the mesh's chips and only there."
    found = {}
    for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        assert isinstance(leaf.sharding, NamedSharding) and leaf.sharding.mesh == mesh
        assert {d.client for d in leaf.devices()} == {jax.devices("tt")[0].client}
        assert leaf.devices() == set(mesh.devices.flat) and leaf.committed
        names = [str(getattr(k, "key", getattr(k, "idx", None))) for k in keys if not hasattr(k, "name")]
        if leaf.sharding.spec != P():
            found["/".join(names)] = leaf.sharding.spec
    return found
"""

LINEN = (
    COMMON
    + """
class Model(nn.Module):
    how: object = KERNEL
    mesh: object = None
    constrain: bool = False

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(8, kernel_init=self.how)(x)
        if self.mesh is not None:
            x = jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, P("batch", "model")))
        if self.constrain:
            x = jax.lax.with_sharding_constraint(x, P("batch", "model"))
        if train:  # a tracer here would raise
            x = nn.Dropout(0.5, deterministic=False)(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(4)(x)

BOTH = pytest.mark.tt(mesh="2x4")
SPLIT = {"params/Dense_0/kernel": P(None, "model")}
TREE = {"kernel": P(None, "model"), "bias": P("model")}
SEEN = {}

@pytest.mark.tt(mesh=["1x1", "1x2", "2x4"])
def test_same_numbers_everywhere(cpu_init_params, tt_mesh):
    model = Model(nn.with_partitioning(KERNEL, ("batch", "model")))
    got = bits(cpu_init_params(model, X, rng=7))
    with jax.default_device(jax.devices("cpu")[0]):
        assert got == bits(nn.unbox(jax.jit(model.init)(jax.random.key(7), X)))
    assert got == SEEN.setdefault("bits", got)
    assert got != bits(cpu_init_params(model, X))

@BOTH
def test_plain(cpu_init_params, tt_mesh):
    variables = cpu_init_params(Model(), X)
    assert set(variables) == {"params", "batch_stats"}
    assert variables["batch_stats"]["BatchNorm_0"]["mean"].shape == (8,)
    assert specs(variables, tt_mesh) == {}
    # What comes back is ready to use.
    y = jax.jit(Model().apply)(variables, jax.device_put(X, NamedSharding(tt_mesh, P("batch"))))
    assert y.shape == (4, 4) and y.devices() == set(tt_mesh.devices.flat)

@BOTH
def test_inputs_and_rng(cpu_init_params, tt_mesh):
    want = bits(cpu_init_params(Model(), X, rng=3))
    replicated = NamedSharding(tt_mesh, P())
    for x in (jnp.asarray(X), jax.device_put(X, replicated), jax.ShapeDtypeStruct((4, 6), jnp.float32)):
        assert bits(cpu_init_params(Model(), x, rng=3)) == want
    for rng in (np.int64(3), jax.random.key(3), jax.device_put(jax.random.key(3), replicated),
                jax.random.PRNGKey(3), {"params": 3}, {"params": jax.random.key(3), "dropout": 1}):
        assert bits(cpu_init_params(Model(), X, True, rng=rng)) == want

@BOTH
def test_metadata(cpu_init_params, tt_mesh):
    boxed = nn.with_partitioning(KERNEL, (None, "model"))
    assert specs(cpu_init_params(Model(boxed), X), tt_mesh) == SPLIT
    with nn.logical_axis_rules([("model", None)]):  # rules are for logical names, these are mesh axes
        assert specs(cpu_init_params(Model(boxed), X), tt_mesh) == SPLIT
    # A module that holds the chips' mesh is still made on the host.
    held = Model(nn.with_partitioning(KERNEL, (None, "model"), mesh=tt_mesh), mesh=tt_mesh)
    assert specs(cpu_init_params(held, X), tt_mesh) == SPLIT
    with jax.set_mesh(tt_mesh):
        variables = cpu_init_params(Model(boxed, constrain=True), X)
    assert specs(variables, tt_mesh) == SPLIT
    assert bits(variables) == bits(cpu_init_params(Model(), X))

@BOTH
def test_logical(cpu_init_params, tt_mesh):
    model = Model(nn.with_logical_partitioning(KERNEL, ("embed", "mlp")))
    rules = [("embed", None), ("mlp", "model")]
    assert specs(cpu_init_params(model, X, shardings=rules), tt_mesh) == SPLIT
    with nn.logical_axis_rules([("embed", "batch")]):
        assert specs(cpu_init_params(model, X), tt_mesh) == {"params/Dense_0/kernel": P("batch", None)}
        assert specs(cpu_init_params(model, X, shardings=rules), tt_mesh) == SPLIT
    own = Model(nn.with_logical_partitioning(KERNEL, ("embed", "mlp"), rules=rules))
    assert specs(cpu_init_params(own, X), tt_mesh) == SPLIT
    axes = Model(nn.with_logical_partitioning(KERNEL, ("batch", "model")))
    assert specs(cpu_init_params(axes, X), tt_mesh) == {"params/Dense_0/kernel": P("batch", "model")}

@BOTH
def test_given(cpu_init_params, tt_mesh):
    model = Model(nn.with_logical_partitioning(KERNEL, ("embed", "mlp")))
    below = {"params/Dense_0/kernel": P(None, "model"), "params/Dense_0/bias": P("model")}
    tree = {"Dense_0": TREE, "BatchNorm_0": P(), "Dense_1": None}
    assert specs(cpu_init_params(model, X, shardings=tree), tt_mesh) == below
    full = {"params": tree, "batch_stats": NamedSharding(tt_mesh, P("model"))}
    stats = {f"batch_stats/BatchNorm_0/{name}": P("model") for name in ("mean", "var")}
    assert specs(cpu_init_params(model, X, shardings=full), tt_mesh) == below | stats
    rules = [("^Dense_0/kernel$", P(None, "model")), ("Dense_0", P("model"))]
    assert specs(cpu_init_params(model, X, shardings=rules), tt_mesh) == below
    kernel = cpu_init_params(model, X, shardings=rules)["params"]["Dense_0"]["kernel"]
    whole = np.asarray(kernel)
    for shard in kernel.addressable_shards:
        assert shard.data.shape == (6, 2)
        np.testing.assert_array_equal(np.asarray(shard.data), whole[shard.index])

@BOTH
def test_chips_share_memory(cpu_init_params, tt_mesh):
    def addresses(spec):
        kernel = cpu_init_params(nn.Dense(512), np.ones((1, 512), np.float32), shardings=[("kernel", spec)])
        shards = kernel["params"]["kernel"].addressable_shards
        assert len(shards) == 8
        return kernel["params"]["kernel"], sorted({shard.data.unsafe_buffer_pointer() for shard in shards})

    kernel, whole = addresses(P())
    assert len(whole) == 1
    before = np.array(kernel)
    after = jax.jit(lambda k: k * 0, donate_argnums=0)(kernel)  # and still no chip writes to another's
    assert before.any() and not np.asarray(after).any()
    rows, parts = addresses(P("model"))
    assert np.diff(parts).tolist() == [rows.nbytes // 4] * 3
"""
)

NNX = (
    COMMON
    + """
class Model(nnx.Module):
    def __init__(self, din, dout, *, rngs, names=(None, "model"), **metadata):
        init = nnx.with_partitioning(KERNEL, names, **metadata)
        self.up = nnx.Linear(din, dout, kernel_init=init, rngs=rngs)
        self.norm = nnx.BatchNorm(dout, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.norm(self.up(x)))

BOTH = pytest.mark.tt(mesh="2x4")
SPLIT = {"up/kernel": P(None, "model")}
SEEN = {}

def host_model(**metadata):
    with jax.default_device(jax.devices("cpu")[0]):
        return Model(6, 8, rngs=nnx.Rngs(0), eager_sharding=False, **metadata)

@pytest.mark.tt(mesh=["1x1", "1x2", "2x4"])
def test_same_numbers_everywhere(cpu_init_params):
    got = bits(nnx.state(cpu_init_params(Model, 6, 8, rng=7)))
    assert got == SEEN.setdefault("bits", got)
    assert got == bits(nnx.state(cpu_init_params(Model, 6, 8, rng=jax.random.key(7))))
    assert got != bits(nnx.state(cpu_init_params(Model, 6, 8)))
    one, two = (cpu_init_params(Model, 6, 8, rng={"params": 7, "dropout": n}) for n in (1, 2))
    assert bits(nnx.state(one, nnx.Param)) == bits(nnx.state(two, nnx.Param))
    assert bits(nnx.state(one)) != bits(nnx.state(two))

@BOTH
def test_class(cpu_init_params, tt_mesh):
    model = cpu_init_params(Model, 6, 8)
    assert isinstance(model, Model) and isinstance(model.drop, nnx.Dropout)
    assert specs(nnx.state(model), tt_mesh) == SPLIT
    model.eval()
    graph, state = nnx.split(model)
    y = jax.jit(lambda s, x: nnx.merge(graph, s)(x))(state, jax.device_put(X, NamedSharding(tt_mesh, P())))
    assert y.shape == (4, 8) and y.devices() == set(tt_mesh.devices.flat)
    with jax.set_mesh(tt_mesh):
        assert specs(nnx.state(cpu_init_params(Model, 6, 8)), tt_mesh) == SPLIT
    held = functools.partial(Model, mesh=tt_mesh)
    assert specs(nnx.state(cpu_init_params(held, 6, 8)), tt_mesh) == SPLIT

@BOTH
def test_callables(cpu_init_params, tt_mesh):
    want = bits(nnx.state(cpu_init_params(Model, 6, 8)))
    assert bits(nnx.state(cpu_init_params(lambda rngs: Model(6, 8, rngs=rngs)))) == want
    calls = []
    def loaded(width):
        calls.append(jnp.zeros(3).devices())
        return host_model()
    with jax.default_device(tt_mesh.devices.flat[0]):
        model = cpu_init_params(loaded, 8, shardings=P())
    assert calls == [{jax.devices("cpu")[0]}] and specs(nnx.state(model), tt_mesh) == {}
    filled = cpu_init_params(functools.partial(Model, 6, 8, rngs=nnx.Rngs(5)))
    assert specs(nnx.state(filled), tt_mesh) == SPLIT
    seeded = cpu_init_params(Model, 6, 8, rng=5)
    assert bits(nnx.state(filled, nnx.RngKey)) == bits(nnx.state(seeded, nnx.RngKey))

@BOTH
def test_instance(cpu_init_params, tt_mesh):
    host = host_model()
    model = cpu_init_params(host)
    assert specs(nnx.state(model), tt_mesh) == SPLIT
    assert bits(nnx.state(model)) == bits(nnx.state(host))
    # The module that was passed stays where it was, and the result can be placed again.
    assert {d for leaf in jax.tree.leaves(nnx.state(host)) for d in leaf.devices()} == {jax.devices("cpu")[0]}
    again = cpu_init_params(model, shardings=[("kernel", P("batch"))])
    assert specs(nnx.state(again), tt_mesh) == {"up/kernel": P("batch")}
    assert bits(nnx.state(again)) == bits(nnx.state(host))

@BOTH
def test_rules_and_trees(cpu_init_params, tt_mesh):
    logical = functools.partial(Model, names=("embed", "mlp"))
    rules = [("embed", None), ("mlp", "model")]
    assert specs(nnx.state(cpu_init_params(logical, 6, 8, shardings=rules)), tt_mesh) == SPLIT
    with nn.logical_axis_rules(rules):
        assert specs(nnx.state(cpu_init_params(logical, 6, 8)), tt_mesh) == SPLIT
    own = functools.partial(logical, sharding_rules=tuple(rules))
    assert specs(nnx.state(cpu_init_params(own, 6, 8)), tt_mesh) == SPLIT
    tree = {"up": {"kernel": P("batch", "model"), "bias": P("model")}, "norm": P(), "drop": None}
    below = {"up/kernel": P("batch", "model"), "up/bias": P("model")}
    assert specs(nnx.state(cpu_init_params(Model, 6, 8, shardings=tree)), tt_mesh) == below
    state = nnx.state(host_model())
    for given in (nnx.get_partition_spec(state), nnx.get_named_sharding(state, tt_mesh)):
        assert specs(nnx.state(cpu_init_params(logical, 6, 8, shardings=given)), tt_mesh) == SPLIT
"""
)

ERRORS = (
    COMMON
    + """
pytestmark = pytest.mark.tt(mesh="2x4")
DENSE = nn.Dense(8)

class Broken(nn.Module):
    @nn.compact
    def __call__(self, x):
        raise LookupError("mine")

class Linear(nnx.Module):
    def __init__(self, names, *, rngs):
        self.up = nnx.Linear(6, 8, kernel_init=nnx.with_partitioning(KERNEL, names), rngs=rngs)

def refusal(init, *args, **kwargs):
    with pytest.raises((ValueError, pytest.fail.Exception)) as caught:
        init(*args, **kwargs)
    return str(caught.value)

def test_not_a_module(cpu_init_params):
    assert refusal(cpu_init_params, 3) == (
        "3 is not a module: expected a flax linen or nnx module, or an nnx class"
    )
    assert refusal(cpu_init_params, nn.Dense, X) == "Dense is a linen class: pass an instance, Dense(...)"
    assert refusal(cpu_init_params, np.ones, 3) == (
        "ones is not a module: calling it gave ndarray, expected an nnx module"
    )
    host = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    assert refusal(cpu_init_params, host, X) == "the Linear exists already: inputs are for a class"
    abstract = nnx.eval_shape(lambda: nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    assert refusal(cpu_init_params, abstract) == (
        "bias has a shape but no values (nnx.eval_shape): pass the class, or a module"
    )
    assert refusal(cpu_init_params, DENSE, X, rng="zero") == (
        "rng='zero': expected an int seed, a PRNG key, or a dict of them per rng stream"
    )

def test_own_errors_come_through(cpu_init_params):
    with pytest.raises(LookupError, match="mine"):
        cpu_init_params(Broken(), X)
    with pytest.raises(TypeError, match="names"):
        cpu_init_params(Linear)

def test_shardings(cpu_init_params, tt_mesh):
    kernel = lambda spec: {"kernel": spec, "bias": P()}
    assert refusal(cpu_init_params, DENSE, X, shardings=kernel(P(None, "tensor"))) == (
        "params/kernel: PartitionSpec(None, 'tensor') names the axis 'tensor', "
        "which mesh 2x4 (batch=2, model=4) does not have"
    )
    assert refusal(cpu_init_params, DENSE, X, shardings=kernel(P("model"))) == (
        "params/kernel: PartitionSpec('model') splits dimension 0 of the shape (6, 8) into 4 "
        "on mesh 2x4 (batch=2, model=4), but 6 is not divisible by 4"
    )
    assert refusal(cpu_init_params, DENSE, X, shardings={"kernel": P(), "scale": P()}) == (
        "the shardings tree does not match the module: nothing for params/bias; "
        "no parameter is at or below params/scale"
    )
    other = jax.sharding.Mesh(tt_mesh.devices.reshape(-1), ("model",), axis_types=tt_mesh.axis_types[:1])
    assert "is on another mesh" in refusal(
        cpu_init_params, DENSE, X, shardings=kernel(NamedSharding(other, P(None, "model")))
    )
    assert refusal(cpu_init_params, Linear, (None, "model"), shardings=[("down", P())]) == (
        "shardings: no parameter matches 'down'; they are up/bias, up/kernel"
    )

def test_names_without_rules(cpu_init_params):
    text = (
        "has the axis names ('embed', 'mlp'); 'embed', 'mlp': neither an axis of mesh 2x4 (batch=2, model=4) "
        "nor in a rule: pass shardings=[('embed', ...), ('mlp', ...)] with a mesh axis or None (not split) "
        "for each ..., or enter flax's nn.logical_axis_rules"
    )
    for wrap in (nn.with_logical_partitioning, nn.with_partitioning):
        model = nn.Dense(8, kernel_init=wrap(KERNEL, ("embed", "mlp")))
        assert refusal(cpu_init_params, model, X) == f"params/kernel {text}"
    assert refusal(cpu_init_params, Linear, ("embed", "mlp")) == f"up/kernel {text}"

def test_bad_sharding_is_found_before_the_work(cpu_init_params):
    ran = []

    def drawn(key, shape, dtype=jnp.float32):
        jax.debug.callback(lambda: ran.append(shape))
        return jnp.ones(shape, dtype)

    model = nn.Dense(8, kernel_init=drawn, use_bias=False)
    assert "'tensor'" in refusal(cpu_init_params, model, X, shardings=P("tensor"))
    jax.effects_barrier()
    assert ran == []
    cpu_init_params(model, X)
    jax.effects_barrier()
    assert ran == [(6, 8)]
"""
)


def test_linen(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(LINEN)
    run_tt().assert_outcomes(passed=9)


def test_nnx(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(NNX)
    run_tt().assert_outcomes(passed=7)


def test_errors(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(ERRORS)
    run_tt().assert_outcomes(passed=5)
