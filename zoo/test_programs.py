"""The programs that TT's compiler gets: their shapes, and what is said of what it makes of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import pytest

from pytest_tt.targets.systems import SYSTEMS
from zoo import registry
from zoo.programs import ModelProgram, forward_of, problems_of, programs_of, systems_of


def shapes(program: ModelProgram, number: int) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(program.arguments[number])]


@pytest.mark.tt(mesh=["1x2", "8x4"])
def test_a_model_that_writes_text_has_three(tt_mesh: Any) -> None:
    model = registry.model("qwen2_5")
    forward, prefill, decode = programs_of(model, model.config("qwen2.5-7b"), tt_mesh, rows=3, length=128)
    rows = 3 if tt_mesh.shape["batch"] == 1 else 8  # what the mesh divides
    assert [(program.name, program.rows, program.length) for program in (forward, prefill, decode)] == [
        ("forward", rows, 128),
        ("prefill", rows, 128),
        ("decode", rows, 256),
    ]
    assert shapes(forward, 1) == [(rows, 128)] * 3
    assert [shapes(prefill, 1), shapes(prefill, 2)] == [[(rows, 128)], [(rows,)]]
    assert shapes(decode, 3) == [(rows, 4, 256, 128)] * 2 * 28
    assert forward.collectives == decode.collectives == {"all-reduce": 57, "all-gather": 1}
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(forward.arguments))


@pytest.mark.tt(mesh="2x4")
def test_inputs_are_as_large_as_people_give_them(tt_mesh: Any) -> None:
    def inputs(name: str, variant: str) -> list[tuple[int, ...]]:
        model = registry.model(name)
        return shapes(forward_of(model, model.config(variant), tt_mesh, rows=9, length=128), 1)

    assert inputs("resnet", "resnet-18") == [(16, 224, 224, 3)]
    assert inputs("bert", "bert-base-uncased") == [(10, 128)] * 3
    assert inputs("bert", "tiny") == [(10, 40)] * 3  # as many positions as it has
    assert inputs("mlp", "megatron") == [(10, 64)]


def test_systems_of_a_mesh() -> None:
    assert systems_of("1x1") == ("n150", "n300", "p100", "p150")
    assert systems_of("2x4") == ("t3k", "lb-blackhole")
    assert systems_of("1x16") == ("galaxy",)  # the usual mesh of none: the smallest that has the chips
    for mesh in {mesh for model in registry.models().values() for mesh in model.sharding.meshes}:
        assert set(systems_of(mesh)) <= set(SYSTEMS)
    with pytest.raises(ValueError, match="mesh 8x8 has 64 chips, and no system has as many"):
        systems_of("8x8")


def test_what_is_wrong_with_a_program() -> None:
    program = ModelProgram("forward", None, (), 8, None, {"all-reduce": 2})
    good: dict[str, Any] = {"upstream": (), "host_ops": {}, "collectives": {"all-reduce": 2}, "unknown": ()}

    def problems(**changes: Any) -> list[str]:
        made: Any = SimpleNamespace(**good | changes)
        return problems_of(program, made)

    assert problems() == []
    assert problems(upstream=("while at a.py:3: no lowering",)) == ["while at a.py:3: no lowering"]
    assert problems(host_ops={"concat": 2}) == ["on the host: 2 concat"]
    assert problems(collectives={}) == ["no collectives; the model declares 2 all-reduce"]
    assert problems(collectives={"all-reduce": 2, "all-gather": 1}) == [
        "1 all-gather, 2 all-reduce; the model declares 2 all-reduce"
    ]
    assert problems(unknown=("a layout",)) == ["not understood: a layout"]
