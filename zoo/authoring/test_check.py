"""``python -m zoo check``: what it finds, and that it names the first module that differs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pytest_tt.discovery import ZooError
from zoo import registry
from zoo.__main__ import main
from zoo.authoring.blocks import Agreement, BlocksError, Difference, first_difference, run_ours
from zoo.authoring.check import walk_along
from zoo.authoring.steps import STEPS
from zoo.authoring.walk import LEFT, StepResult
from zoo.cli import listing

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry import Prepare

MLP = registry.model("mlp")

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="NOT COMPARED BLOCK BY BLOCK: torch is not installed (nox's session walkthrough has it)",
)

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from zoo.__main__ import main; sys.exit(main(sys.argv[1:]))"


def checked(*command: str) -> tuple[int, dict[str, list[str]], str]:
    """``zoo check`` in a process of its own: exit code, step to its state and texts, all that it printed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(registry.ROOT.parent), *sys.path[1:]])}
    for name in [name for name in environment if name.startswith(("JAX_", "PYTEST_", "XLA_"))]:
        del environment[name]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment)
    found = re.findall(r"^(ok|left|-) +(\w+): (.*)((?:\n      .*)*)", done.stdout, re.MULTILINE)
    steps = {step: [state, text, more.strip()] for state, step, text, more in found}
    return done.returncode, steps, done.stdout + done.stderr


def test_without_torch_all_else_is_checked() -> None:
    code, steps, output = checked("-c", WITHOUT_TORCH, "check", "mlp")
    assert code == 1, output
    assert {step: state for step, (state, *_) in steps.items()} == {
        "parameters": "-", "blocks": "-", "output": "ok", "meshes": "ok", "collectives": "ok", "goldens": "left",
        "complete": "ok",
    }, output  # fmt: skip
    assert "not checked: torch or transformers is not installed" in steps["goldens"][1]
    assert steps["goldens"][2] == "do: pip install 'pytest-tt[reference,zoo]'"
    assert "agrees with the golden (torch, to compute the reference, is not installed)" in steps["output"][1]
    assert steps["collectives"][1] == "none on 1x1; 1 all-reduce on 1x2, 1x4, 2x4, 1x8, 8x4"
    assert output.endswith("mlp: 1 step left\n")


def test_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for asked, said in (("mpl", "no such model: mpl (did you mean mlp?)"), (str(tmp_path), "no such model")):
        with pytest.raises(SystemExit) as stop:
            main(["check", asked])
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith(f"python -m zoo check: {said}")
        assert error.count("\n") == 1


def test_another_packages_models_are_no_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> dict[str, Any]:
        raise ZooError("acme-zoo 1.2: it is broken; fix it")

    monkeypatch.setattr(registry, "models", broken)
    monkeypatch.setattr(listing, "entry_points", lambda group: [group])  # the list asks only where there is a package
    for command in (["list"], ["golden"], ["golden", "acme"], ["check", "acme"]):
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert stop.value.code == 2
        assert capsys.readouterr().err == f"python -m zoo {command[0]}: acme-zoo 1.2: it is broken; fix it\n"


def test_a_registration_that_cannot_be_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "half_written"
    folder.mkdir()
    (folder / "registration.py").write_text("\nfrom half_written import model\n")
    assert main(["check", str(folder)]) == 1
    output = capsys.readouterr().out
    assert output.startswith("left  registration: ImportError: cannot import name 'model' from 'half_written'")
    assert f"do: fix it: {folder / 'registration.py'}:2\n" in output


def test_a_result_on_lines() -> None:
    result = StepResult("complete", LEFT, "still to be written\na.py: 1 TODO", "write it")
    assert result.lines() == ["left  complete: still to be written", "      a.py: 1 TODO", "      do: write it"]


class Inner(nn.Module):
    """Two parts, the second called twice."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        part = nn.Dense(3, name="part")
        return part(x), part(x + 1.0)


class Outer(nn.Module):
    """Modules in a list, and results that are tuples and dicts."""

    def setup(self) -> None:
        self.h = [Inner() for _ in range(2)]

    def __call__(self, x: Any) -> Any:
        for inner in self.h:
            x, _ = inner(x)
        return {"y": x}


def test_what_our_modules_give() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    with jax.default_device(jax.devices("cpu")[0]):
        params = Outer().init(jax.random.key(0), jnp.asarray(x))
    found = run_ours(Outer(), lambda module: lambda p, inputs: module.apply(p, **inputs), params, {"x": x})
    assert list(found) == ["h_0/part", "h_0", "h_1/part", "h_1"]
    kernel, bias = (np.asarray(params["params"]["h_0"]["part"][name]) for name in ("kernel", "bias"))
    np.testing.assert_allclose(found["h_0/part"], x @ kernel + bias, rtol=1e-6)
    np.testing.assert_array_equal(found["h_0"], found["h_0/part"])


def outputs(*names: str) -> dict[str, np.ndarray]:
    return {name: np.sin(np.arange(24, dtype=np.float32) + place).reshape(2, 3, 4) for place, name in enumerate(names)}


def test_the_first_difference() -> None:
    ours, pairs = outputs("a", "b", "c"), {"a": "A", "c": "C", "b": "B"}
    theirs = {name.upper(): value.copy() for name, value in ours.items()}
    found = first_difference(pairs, ours, theirs, {}, None)
    assert isinstance(found, Agreement)
    assert found.count == 3
    theirs["C"] += 1.0
    theirs["B"][0, 1] *= 1.001
    found = first_difference(pairs, ours, theirs, {"B": "torch.B"}, None)
    assert isinstance(found, Difference)
    assert (found.ours, found.theirs, found.kind, found.place) == ("b", "B", "torch.B", 1)
    assert found.comparison is not None
    assert 1e-5 < found.comparison.metrics()["rel_l2"] < 1e-3  # type: ignore[operator]

    mask = np.array([[1, 0, 1], [1, 1, 1]])  # what differs in b is padding
    found = first_difference(pairs, ours, theirs, {}, mask)
    assert isinstance(found, Difference)
    assert found.ours == "c"


def test_other_layouts() -> None:
    image = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    heads = np.random.default_rng(1).normal(size=(2, 5, 4, 3)).astype(np.float32)
    ours = {"image": image, "heads": heads}
    theirs = {"I": image.transpose(0, 3, 1, 2), "H": heads.reshape(2, 5, 12)}
    assert isinstance(first_difference({"image": "I", "heads": "H"}, ours, theirs, {}, None), Agreement)
    found = first_difference({"image": "H"}, ours, theirs, {}, None)
    assert isinstance(found, Difference)
    assert found.problem == "ours has shape (2, 5, 6, 3), the reference's (2, 5, 12)"


def test_modules_that_there_are_not() -> None:
    ours = outputs("layer_0", "norm")
    with pytest.raises(BlocksError, match=r"not called: layer_1 \(did you mean layer_0\?\)"):
        first_difference({"layer_1": "L"}, ours, {"L": ours["norm"]}, {}, None)
    with pytest.raises(BlocksError, match="give no tensor: L"):
        first_difference({"layer_0": "L"}, ours, {}, {}, None)


def test_a_step_that_breaks_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the code of a model raises is what is left of that step; the others go on."""
    from zoo.authoring import on_mesh

    monkeypatch.setattr(on_mesh, "mesh_of", lambda mesh: None)

    def broken(config: Any) -> Any:
        raise KeyError("kernel")

    case = replace(MLP.goldens["sum"], reference=lambda: broken(None))
    architecture = replace(MLP.architecture, build=broken)
    model = replace(MLP, name="m", folder=tmp_path, architecture=architecture, goldens={"sum": case})
    findings = {finding.step: finding for finding in walk_along(model, tmp_path, "m")}
    assert list(findings) == [name for name, _ in STEPS]
    assert findings["output"].state == LEFT
    assert findings["meshes"].what == "not checked: it waits for 'output'"
    assert findings["goldens"].what == "not recorded: sum"
    assert findings["complete"].what == "missing: test_m.py, README.md"


def doubled(config: Any, mesh: Any) -> Prepare:
    return lambda path, leaf: leaf * np.float32(1 + (mesh.size > 1))


def counting(module: Any) -> Any:
    right = MLP.architecture.forward(module)

    def apply(params: Any, inputs: Any) -> Any:
        zero = jax.lax.while_loop(lambda x: x.sum() < 1.0, lambda x: x + 1.0, jnp.zeros(1)) - 1.0
        return {name: value + zero for name, value in right(params, inputs).items()}

    return apply


SUM = replace(MLP.goldens["sum"], meshes=None)

WRONG: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "collectives": (
        {"sharding": {"collectives": lambda config, mesh, inputs: {"all-reduce": 5 * (mesh.size > 1)}}},
        {"collectives": "sum on 1x2: 1 all-reduce, the registration says 5 all-reduces"},
    ),
    "padding": (
        {"sharding": {"prepare": doubled}},
        {"meshes": "sum on 1x2: output differs, PCC ", "collectives": "not checked: it waits for 'meshes'"},
    ),
    "a loop": ({"architecture": {"forward": counting}}, {"meshes": "sum on 1x2: the TT compiler does not take while"}),
    "no spec": (
        {"sharding": {"param_specs": lambda config, mesh: {"params": {}}}},
        {"meshes": "sum on 1x2: param_specs has nothing for "},
    ),
    "a case without a golden": (
        {"goldens": {"sum": SUM, "more": replace(SUM, meshes=())}},
        {"goldens": "not recorded: more"},
    ),
}


@pytest.mark.tt(mesh="1x2")
@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_on_a_mesh(what: str, tt_mesh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    changes, expected = WRONG[what]
    architecture = replace(MLP.architecture, **changes.get("architecture", {}))
    sharding = replace(MLP.sharding, meshes=("1x1", "1x2"), **changes.get("sharding", {}))
    goldens = changes.get("goldens", {"sum": SUM})
    variants = {"sum": MLP.config("sum")}
    model = replace(MLP, variants=variants, architecture=architecture, sharding=sharding, goldens=goldens)
    left = {finding.step: finding.what for finding in walk_along(model, registry.ROOT / "mlp", "mlp")}
    for step, text in expected.items():
        assert left[step].startswith(text), left
    assert left["output"].startswith("sum: agrees with the golden")


@needs_torch
def test_a_mask_that_the_third_block_does_not_see_is_named(tmp_path: Path) -> None:
    """A copy of DistilBERT whose third layer attends to padding."""
    folder = tmp_path / "seeded"
    shutil.copytree(registry.ROOT / "distilbert", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.glob("*.py"):
        path.write_text(path.read_text(encoding="utf-8").replace("zoo.distilbert", "seeded"), encoding="utf-8")
    model = folder / "model.py"
    right, arguments = model.read_text(encoding="utf-8"), "(x, bias)\n"
    assert right.count(arguments) == 1
    code, steps, output = checked("-m", "zoo", "check", str(folder))
    assert steps["blocks"][0] == "ok", output

    model.write_text(right.replace(arguments, "(x, bias * (index != 2))\n"), encoding="utf-8")
    code, steps, output = checked("-m", "zoo", "check", str(folder))
    assert code == 1, output
    state, text, more = steps["blocks"]
    assert state == "left", output
    named = re.match(r"tiny: layer_2(?:/\w+)? is the first of \d+ that differs .*: PCC ([\d.]+), rel L2 (\S+);", text)
    assert named is not None, text
    assert float(named[1]) < 0.999
    assert float(named[2]) > 1e-3
    assert "transformers.models.distilbert.modeling_distilbert." in more
    assert steps["parameters"][0] == "ok"
    assert steps["output"][0] == "left"


@needs_torch
@pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2", "resnet"])
def test_our_models_agree_block_by_block(name: str) -> None:
    from zoo.authoring.walk import Walk

    walk = Walk(registry.model(name), registry.ROOT / name, name)
    walk.done.add("parameters")
    assert "agree (largest rel L2 " in dict(STEPS)["blocks"](walk)
