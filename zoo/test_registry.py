"""Descriptions that contradict themselves, and shapes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jax.sharding import AbstractMesh

from zoo import registry

if TYPE_CHECKING:
    from zoo.registry import Model

OURS = {name: registry.model(name) for name in registry.names()}


def changed(**changes: Any) -> Model:
    return dataclasses.replace(OURS["mlp"], **changes)


def test_every_folder_with_a_model_is_registered() -> None:
    assert set(OURS) == {path.parent.name for path in registry.ROOT.glob("*/model.py")}
    assert {name: model.name for name, model in OURS.items()} == {name: name for name in OURS}


def test_importing_a_registration_is_cheap() -> None:
    """What is slow to import waits until it is asked for: references' libraries, mutants, demos, the jax backends."""
    code = f"""
import importlib, sys
for name in {list(OURS)!r}:
    importlib.import_module(f"zoo.{{name}}.registration")
late = [name for name in sys.modules if name.split(".")[0] in ("torch", "transformers", "tokenizers")]
late += [name for name in sys.modules if name.startswith("zoo.") and name.endswith((".mutants", ".demo"))]
assert late == [], late
import jax
jax.config.update("jax_num_cpu_devices", 3)  # an error once a backend has started
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=registry.ROOT.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_contradictions() -> None:
    case = dataclasses.replace(OURS["mlp"].goldens["sum"], variant="huge")
    with pytest.raises(ValueError, match="mlp: case 'a' is of variant 'huge'; expected one of dense, megatron, sum"):
        changed(goldens={"a": case})
    with pytest.raises(ValueError, match="mlp: case 'a' is for 1x3; the model claims 1x1, 1x2"):
        changed(goldens={"a": dataclasses.replace(case, variant="sum", meshes=("1x3",))})
    with pytest.raises(ValueError, match="1x"):
        dataclasses.replace(OURS["mlp"].sharding, meshes=("1x",))
    with pytest.raises(ValueError, match="model 'm-l-p': the name must be a Python identifier"):
        changed(name="m-l-p")


def test_meshes_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    case = dataclasses.replace(OURS["mlp"].goldens["sum"], quick=("1x2",))
    model = changed(goldens={"a": case})
    monkeypatch.delenv(registry.SLOW, raising=False)
    assert model.meshes_of("a") == ("1x2",)
    monkeypatch.setenv(registry.SLOW, "1")
    assert model.meshes_of("a") == (case.meshes or model.sharding.meshes) != ("1x2",)
    with pytest.raises(ValueError, match="case 'a' is for 1x3"):
        changed(goldens={"a": dataclasses.replace(case, quick=("1x3",))})


def test_names_that_are_not_there() -> None:
    with pytest.raises(ValueError, match=r"no such model: huge; expected one of .*cnn, .*mlp"):
        registry.model("huge")
    with pytest.raises(ValueError, match="mlp has no variant 'huge'; expected one of dense, megatron, sum"):
        OURS["mlp"].config("huge")
    with pytest.raises(ValueError, match="mlp has no key map"):
        OURS["mlp"].key_map("sum")
    with pytest.raises(ValueError, match="mlp makes up no checkpoints"):
        OURS["mlp"].synthetic_checkpoint("sum")


@pytest.mark.parametrize("name", [name for name, model in OURS.items() if model.architecture.layer is not None])
def test_shapes_of_one_layer_stand_for_all(name: str) -> None:
    model = OURS[name]
    config = next(config for variant, config in model.variants.items() if variant.startswith("tiny"))
    mesh: Any = AbstractMesh((1, 8), ("batch", "model"))
    assert config.num_hidden_layers > 1
    for sizes in (config, model.sharding.fit(config, mesh)):
        assert model.architecture.shapes(sizes) == model.architecture.traced(sizes)
