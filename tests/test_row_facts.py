"""What a row says beyond the verdict: bounds and errors of each leaf, who holds what, and the work of an execution."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparing import one, values
from documents import real_document, row_of

from pytest_tt.compare import compare
from pytest_tt.compare.errors import error_decades
from pytest_tt.results.arrays import Array, parse_text, placements_of
from pytest_tt.results.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    RunTT = Callable[..., pytest.RunResult]


@pytest.mark.parametrize(
    ("actual", "expected", "decades"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], {"equal": 3}),
        ([0.1, 0.25, -0.03], [0.0, 0.0, 0.0], {"-2": 1, "-1": 2}),
        ([5.0, -700.0], [0.0, 0.0], {"0": 1, "2": 1}),
        ([np.nan, 1.0, np.inf], [1.0, np.inf, np.inf], {"not finite": 3}),
        ([1e-300, 1e300], [0.0, 0.0], {"-20": 1, "20": 1}),
        ([], [], {}),
    ],
)
def test_errors_are_counted_by_powers_of_ten(actual: Any, expected: Any, decades: dict[str, int]) -> None:
    found = error_decades(np.array(actual), np.array(expected))
    assert found == decades
    assert list(found) == list(decades)


def test_every_element_is_counted_once() -> None:
    actual, expected = values(1000, 1100, seed=1), values(1000, 1100, seed=2)
    actual[3], actual[4, 0] = expected[3], np.nan
    counts = error_decades(actual, expected)
    assert sum(counts.values()) == actual.size
    assert (counts["equal"], counts["not finite"]) == (1100, 1)


def test_facts_of_a_leaf() -> None:
    expected = values(4, 8)
    ((name, facts),) = one(expected + np.float32(0.5), expected).leaf_facts().items()
    assert name == "y"
    assert (facts["shape"], facts["dtype"], facts["passed"]) == ([4, 8], "float32", False)
    assert facts["bounds"] == {"rel_l2": 1e-5}
    assert facts["values"]["max_abs"] == pytest.approx(0.5, rel=1e-5)
    assert sum(facts["errors"].values()) == 32
    (unmeasured,) = one(values(4), values(5)).leaf_facts().values()
    assert (unmeasured["passed"], unmeasured["values"], unmeasured["errors"]) == (False, {}, {})


def test_most_wrong_leaves_are_kept() -> None:
    expected = {f"leaf_{n:02}": values(16, seed=n) for n in range(20)}
    actual = {name: leaf * np.float32(1 + (int(name[-2:]) >= 15)) for name, leaf in expected.items()}
    assert set(compare(actual, expected).leaf_facts(5)) == {f"leaf_{n}" for n in range(15, 20)}


def test_row_of_a_real_run() -> None:
    row = row_of(real_document(), "test_layers[2x4]")
    leaf = row["metrics"]["small"]["leaves"]["logits"]
    assert leaf["shape"] == [8, 16]
    assert leaf["bounds"] == {"rel_l2": 1e-5}
    assert leaf["values"]["rel_l2"] == row["metrics"]["small"]["rel_l2"]
    assert sum(leaf["errors"].values()) == 8 * 16
    assert row["placements"] == [
        {
            "axes": {"batch": 2, "model": 4},
            "arrays": [
                {"name": "params/layer_*", "count": 2, "dtype": "float32", "shape": [16, 16], "spec": [[], ["model"]]},
                {"name": "x", "count": 1, "dtype": "float32", "shape": [8, 16], "spec": [["batch"], []]},
            ],
        }
    ]
    assert row["work"] == {"tokens": 8}
    assert row_of(real_document(), "test_known")["placements"] is None


@pytest.mark.parametrize(
    "array",
    [
        Array("x", 1, "float32", (), ()),
        Array("params/a b", 3, "bfloat16", (2, 3), ((), ("batch", "model"))),
        Array("key", 1, "key<fry>", (4,), None),
        Array("x[0] (-) x2 y", 2, "int8", (4,), (("x",),)),
        Array("odd axes", 1, "int8", (4,), (("a,b", "c d"),)),
    ],
)
def test_arrays_are_read_as_they_were_written(array: Array) -> None:
    row = Row("a", placements=[{"axes": {"x": 2}, "arrays": [json.loads(json.dumps(array.to_json()))]}])
    assert placements_of(row) == [({"x": 2}, [array])]


@pytest.mark.parametrize(
    ("text", "array"),
    [
        ("float32[] () x1 x", Array("x", 1, "float32", (), ())),
        (
            "bfloat16[2,3] (-,batch+model) x3 params/a b",
            Array("params/a b", 3, "bfloat16", (2, 3), ((), ("batch", "model"))),
        ),
        ("key<fry>[4] ? x1 key", Array("key", 1, "key<fry>", (4,), None)),
        ("int8[4] (x) x2 x[0] (-) x2 y", Array("x[0] (-) x2 y", 2, "int8", (4,), (("x",),))),
    ],
)
def test_lines_of_earlier_versions_are_read(text: str, array: Array) -> None:
    assert parse_text(text) == array
    assert placements_of(Row("a", shardings=[{"axes": None, "arrays": [text]}])) == [(None, [array])]


@pytest.mark.parametrize("text", ["", "x", "float32[4] (-) x0 x", "float32[4] (-,-) x1 x", "float32[a] (-) x1 x"])
def test_other_texts_are_no_arrays(text: str) -> None:
    with pytest.raises(ValueError, match="is not an array"):
        parse_text(text)


def test_shardings_of_other_meshes_and_programs(pytester: pytest.Pytester, run_tt: RunTT) -> None:
    pytester.makepyfile(
        """
        import jax
        import numpy as np
        import pytest
        from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P

        @pytest.mark.tt(mesh="2x2")
        def test_many(tt_mesh, tt_jit, tt_device, record_property):
            x = np.ones((4, 4), np.float32)
            own = Mesh(tt_mesh.devices.reshape(4), ("ring",), axis_types=(AxisType.Auto,))
            tt_jit(lambda *arrays, scale: arrays[0] * scale, static_argnames="scale")(x, x, scale=2)
            tt_jit(lambda static, x: x * static, static_argnums=0)(2, x)
            tt_jit(lambda x: x + 1, in_shardings=NamedSharding(own, P("ring")))(x)
            tt_jit(lambda x: x + 1, in_shardings=P(("model", "batch")))(x)
            tt_jit(lambda x: x + 1)(jax.device_put(x, tt_device))
            tt_jit(lambda x: x + 1)(1.5)
            with pytest.raises(TypeError, match="tokens=1.5 is not a whole number"):
                tt_jit.work(tokens=1.5)
            with pytest.raises(ValueError, match="images=0 is below 1"):
                tt_jit.work(images=0)
        """
    )
    run_tt("--tt-results", "r.json").assert_outcomes(passed=1)
    from pytest_tt.results.reading import read_document

    (row,) = read_document(pytester.path / "r.json").rows.values()
    assert row.work is None
    assert row.shardings is None
    assert placements_of(row) == [
        (
            {"batch": 2, "model": 2},
            [
                Array("argument *", 2, "float32", (4, 4), ((), ())),
                Array("x", 1, "float32", (4, 4), ((), ())),
                Array("x", 1, "float32", (4, 4), (("model", "batch"), ())),
                Array("x", 1, "float32", (), ()),
            ],
        ),
        ({"ring": 4}, [Array("x", 1, "float32", (4, 4), (("ring",), ()))]),
        (None, [Array("x", 1, "float32", (4, 4), None)]),
    ]
