"""Shardings asked for by tree, path, axis name: what they come to, and the text when they do not fit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jax.sharding import AbstractMesh, NamedSharding
from jax.sharding import PartitionSpec as P

from pytest_tt.params.sharding import Leaf, ParamsError, entries_of, resolve

# A mesh without devices: jax is not started in this process.
MESH = AbstractMesh((2, 4), ("batch", "model"))
HERE = "mesh 2x4 (batch=2, model=4)"
KERNEL = Leaf(("params", "up", "kernel"), (6, 8))
BIAS = Leaf(("params", "up", "bias"), (8,))
SCALAR = Leaf(("params", "scale"), ())
MEAN = Leaf(("batch_stats", "norm", "mean"), (8,))
MODEL = (KERNEL, BIAS, SCALAR, MEAN)


def specs(shardings: object, leaves: tuple[Leaf, ...] = MODEL, root: str | None = "params") -> list[P]:
    found = resolve(leaves, shardings, MESH, root)
    assert all(sharding.mesh == MESH for sharding in found)
    return [sharding.spec for sharding in found]


def refusal(shardings: object, leaves: tuple[Leaf, ...] = MODEL) -> str:
    with pytest.raises(ParamsError) as caught:
        resolve(leaves, shardings, MESH, "params")
    return str(caught.value)


def named(*names: Any, logical: bool = True, rules: Any = ()) -> Leaf:
    return Leaf(("params", "up", "kernel"), (8,) * len(names), names, logical, rules)


WHOLE = {"params": P(), "batch_stats": P("model")}


@pytest.mark.parametrize(
    ("shardings", "expected"),
    [
        pytest.param(None, [P(), P(), P(), P()], id="none"),
        pytest.param(P(), [P(), P(), P(), P()], id="one-for-all"),
        pytest.param(WHOLE, [P(), P(), P(), P("model")], id="prefix"),
        pytest.param(
            {"up": {"kernel": P(None, "model"), "bias": P("model")}, "scale": None},
            [P(None, "model"), P("model"), P(), P()],
            id="without-params",
        ),
        pytest.param(
            {
                "params": {"up": {"kernel": NamedSharding(MESH, P("batch")), "bias": P()}, "scale": P()},
                **{"batch_stats": {"norm": P(("batch", "model"))}},
            },
            [P("batch"), P(), P(), P(("batch", "model"))],
            id="named-sharding",
        ),
        pytest.param(
            [("^up/kernel$", P(None, "model")), (re.compile("up"), P("model"))],
            [P(None, "model"), P("model"), P(), P()],
            id="first-path-wins",
        ),
        pytest.param(
            [("^params/up/bias", P("batch")), ("mean", NamedSharding(MESH, P("model"))), ("scale", None)],
            [P(), P("batch"), P(), P("model")],
            id="full-paths",
        ),
    ],
)
def test_layouts(shardings: object, expected: list[P]) -> None:
    assert specs(shardings) == expected


def test_nnx_has_no_params_level() -> None:
    leaves = (Leaf(("linear", "kernel"), (4, 4)), Leaf(("layers", "0", "bias"), (4,)))
    assert specs({"linear": P("model"), "layers": [{"bias": P("batch")}]}, leaves, None) == [
        P("model"),
        P("batch"),
    ]


@pytest.mark.parametrize(
    ("shardings", "text"),
    [
        pytest.param(
            {"up": {"kernel": P("tensor")}, "scale": P(), "up2": P()},
            "the shardings tree does not match the module: nothing for params/up/bias; "
            "no parameter is at or below params/up2",
            id="tree",
        ),
        pytest.param(
            {"params": P()},
            "the shardings tree does not match the module: nothing for batch_stats/norm/mean",
            id="tree-misses-collection",
        ),
        pytest.param(
            {"up": P(), "scale": "model"},
            "shardings at scale: 'model' is not a PartitionSpec (nor a NamedSharding or None)",
            id="not-a-spec",
        ),
        pytest.param(
            [("kernel", P(None, "tensor"))],
            f"params/up/kernel: PartitionSpec(None, 'tensor') names the axis 'tensor', which {HERE} does not have",
            id="unknown-axis",
        ),
        pytest.param(
            [("kernel", P("model"))],
            "params/up/kernel: PartitionSpec('model') splits dimension 0 of the shape (6, 8) into 4 "
            f"on {HERE}, but 6 is not divisible by 4",
            id="not-divisible",
        ),
        pytest.param(
            [("kernel", P(None, ("batch", "model"))), ("scale", P("model")), ("bias", P(None, None))],
            "params/up/bias: PartitionSpec(None, None) is for 2 dimensions, but the shape is (8,)\n"
            "params/scale: PartitionSpec('model') is for 1 dimensions, but the shape is ()",
            id="too-long",
        ),
        pytest.param(
            [("kernel", P("batch", "batch"))],
            "params/up/kernel: PartitionSpec('batch', 'batch') uses the axis 'batch' more than once",
            id="axis-twice",
        ),
        pytest.param(
            [("bias", P(P.UNCONSTRAINED))],
            "params/up/bias: UNCONSTRAINED in PartitionSpec(UNCONSTRAINED) is not a mesh axis, "
            "a tuple of mesh axes or None",
            id="unconstrained",
        ),
        pytest.param(
            [("bias", NamedSharding(AbstractMesh((8,), ("model",)), P("model")))],
            f"params/up/bias: its NamedSharding is on another mesh than this test's {HERE}: "
            "give PartitionSpec('model') alone, or make it with the fixture tt_mesh",
            id="other-mesh",
        ),
        pytest.param(
            [("kernl", P()), ("bias", P()), ("men", P())],
            "shardings: no parameter matches 'kernl', 'men'; they are params/up/kernel, params/up/bias, "
            "params/scale, batch_stats/norm/mean",
            id="idle-rules",
        ),
        pytest.param(
            [("kernel(", P())],
            "shardings: 'kernel(' is not a regular expression: missing ), unterminated subpattern at position 6",
            id="bad-regex",
        ),
        pytest.param(
            [("kernel", P()), ("bias", "model")],
            "shardings: the path rule ('bias', 'model') needs a PartitionSpec or None",
            id="mixed-rules",
        ),
        pytest.param(
            [("mlp", "model")],
            "shardings=[('mlp', 'model')]: the module's parameters have none of these logical axis names, "
            "but no names at all (path rules need a PartitionSpec)",
            id="rules-for-nothing",
        ),
        pytest.param([], "shardings=[] has no rules: expected None, a PartitionSpec,", id="empty"),
        pytest.param(["mlp"], "shardings: 'mlp' is not a rule: expected None, a PartitionSpec,", id="no-pair"),
        pytest.param([("mlp", 3)], "shardings: ('mlp', 3) is not a rule: expected None,", id="bad-target"),
        pytest.param("model", "shardings='model': expected None, a PartitionSpec, a tree of", id="string"),
    ],
)
def test_refusals(shardings: object, text: str) -> None:
    said = refusal(shardings)
    assert said.startswith(text) if "expected None" in text else said == text


def test_many_refusals_are_cut() -> None:
    leaves = tuple(Leaf((f"w{n}",), (3,)) for n in range(30))
    lines = refusal(P("model"), leaves).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 10 more"


RULES = [
    ("embed", None),
    ("mlp", "model"),
    ("heads", "model"),
    ("mlp", "batch"),
    ("both", ("batch", "model")),
]


@pytest.mark.parametrize(
    "names",
    [
        ("embed", "mlp"),
        ("mlp", "heads"),
        ("heads", "mlp"),
        (None, "both", "mlp"),
        ("other", "mlp"),
        ("model",),
    ],
)
def test_rules_mean_what_they_mean_in_flax(names: tuple[str | None, ...]) -> None:
    linen = pytest.importorskip("flax.linen")
    entries, unknown = entries_of(named(*names), RULES, MESH.axis_names)
    assert (P(*entries), unknown) == (linen.logical_to_mesh_axes(names, RULES), [])


def test_names() -> None:
    plain = named("embed", "model", logical=False)
    assert specs(None, (named("batch", "model"),)) == [P("batch", "model")]
    assert specs(None, (named(None, ("batch", "model"), logical=False),)) == [P(None, ("batch", "model"))]
    assert specs(None, (named("embed", "mlp", rules=RULES),)) == [P(None, "model")]
    assert specs([("mlp", "batch")], (named("embed", "mlp", rules=RULES),)) == [P(None, "batch")]
    assert specs([("embed", "batch")], (plain, BIAS)) == [P("batch", "model"), P()]
    assert specs([("model", None), ("embed", "model")], (plain,)) == [P("model", None)]


def test_names_without_rules() -> None:
    assert refusal(None, (BIAS, named("embed", "model"), named("mlp", "embed"))) == (
        f"params/up/kernel has the axis names ('embed', 'model'); 'embed', 'mlp': neither an axis of {HERE} "
        "nor in a rule: pass shardings=[('embed', ...), ('mlp', ...)] with a mesh axis or None (not split) "
        "for each ..., or enter flax's nn.logical_axis_rules"
    )
    assert "'embed': neither an axis" in refusal([("mlp", "model")], (named("embed", "mlp", logical=False),))
    assert "have none of these logical axis names, but 'embed'" in refusal([("embd", None)], (named("embed"),))
    assert "'tensor', which mesh 2x4" in refusal([("embed", "tensor")], (named("embed"),))
