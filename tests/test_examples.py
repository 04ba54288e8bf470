"""Every script of examples/ runs by `pytest-tt run` on the mesh that its text names, and prints the right numbers.

The expected ones are computed with numpy, in float64, from the parameters that the scripts begin with.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from test_run import run

from pytest_tt.packages import package_version

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

EXAMPLES = Path(__file__).parents[1] / "examples"

# The command that the text of each gives; a script without one is a failure below.
COMMANDS = {
    path.name: re.findall(rf"^    pytest-tt run examples/{path.name} (.*)$", path.read_text(encoding="utf-8"), re.M)
    for path in sorted(EXAMPLES.glob("*.py"))
}


def printed(name: str, options: str, folder: Path) -> dict[str, Any]:
    """What the script prints as ``NAME: VALUE``, the values as JSON where they are."""
    done = run(EXAMPLES / name, *options.split(), cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    pairs = (line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    number = re.compile(r"\[.*\]|-?\d[\d.e+-]*")
    return {name: json.loads(value) if number.fullmatch(value) else value for name, value in pairs}


def module_of(name: str) -> ModuleType:
    """The script as a module, not run."""
    spec = importlib.util.spec_from_file_location(f"example_{Path(name).stem}", EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def weights(params: Any) -> dict[str, tuple[NDArray[np.float64], Any]]:
    """Kernel and bias (None where there is none) of each layer in float64."""
    layers = {
        name: {key: np.asarray(leaf, np.float64) for key, leaf in layer.items()} for name, layer in params.items()
    }
    return {name: (layer["kernel"], layer.get("bias")) for name, layer in layers.items()}


def test_every_script_is_tested_on_the_meshes_of_its_text() -> None:
    assert COMMANDS == {
        "jax_inference_lesson.py": ["--tt-system n300", "--tt-system t3k", "--tt-system galaxy"],
        "single_chip.py": ["--tt-mesh 1x1"],
        "single_chip_torch.py": ["--tt-mesh 1x1"],
        "tensor_parallel_dense.py": ["--tt-mesh 1x2"],
        "tensor_parallel_pair.py": ["--tt-mesh 1x8"],
        "train_on_host.py": ["model_params.msgpack --tt-mesh 1x1"],
    }


def test_tensor_parallel_dense(tmp_path: Path) -> None:
    name = "tensor_parallel_dense.py"
    facts = printed(name, *COMMANDS[name], tmp_path)
    example = module_of(name)
    ((kernel, bias),) = weights(example.init_on_host(example.ShardedDense(), (8, 8))["params"]).values()
    assert bias is None
    assert kernel.std() > 0.2
    np.testing.assert_allclose(facts["Output"], np.ones((8, 8)) @ kernel, rtol=1e-5, atol=1e-6)
    assert facts["Columns on each chip"] == [4, 4]
    assert facts["JAX backend platform"] == "tt"


# The others in nox's session slow.
LESSONS = COMMANDS["jax_inference_lesson.py"] if os.environ.get("ZOO_SLOW") else COMMANDS["jax_inference_lesson.py"][:1]


@pytest.mark.parametrize("options", LESSONS)
def test_jax_inference_lesson(options: str, tmp_path: Path) -> None:
    facts = printed("jax_inference_lesson.py", options, tmp_path)
    chips, mesh, part = {
        "n300": (2, "1x2", "(16, 16)"),
        "t3k": (8, "1x8", "(16, 4)"),
        "galaxy": (32, "8x4", "(2, 8)"),
    }[options.split()[1]]
    assert (facts["Available JAX devices"], facts["Mesh"], facts["Part on each chip"]) == (chips, mesh, part)
    assert facts["Dot product result"] == 32.0
    assert facts["On the first chip"] == "True"
    product = np.arange(16 * 64.0).reshape(16, 64) @ np.arange(64 * 32.0).reshape(64, 32) / 1024 / 2048
    assert facts["Sum of the product"] == pytest.approx(product.sum(), rel=1e-6)
    np.testing.assert_allclose(facts["CNN output"], cnn_in_numpy(), rtol=1e-4, atol=1e-5)


def cnn_in_numpy() -> NDArray[np.float64]:
    example = module_of("jax_inference_lesson.py")
    layers = weights(example.init_on_host()["params"])
    kernel, bias = layers["Conv_0"]
    image = np.pad(example.IMAGE.astype(np.float64)[0], ((1, 1), (1, 1), (0, 0)))
    rows = range(28)
    conv = np.array([[np.tensordot(image[i : i + 3, j : j + 3], kernel, 3) for j in rows] for i in rows]) + bias
    pooled = np.maximum(conv, 0).reshape(14, 2, 14, 2, 32).mean((1, 3))
    kernel, bias = layers["Dense_0"]
    return np.asarray(pooled.reshape(-1) @ kernel + bias)


def test_single_chip(tmp_path: Path) -> None:
    facts = printed("single_chip.py", *COMMANDS["single_chip.py"], tmp_path)
    np.testing.assert_allclose(facts["Output"], np.full(10, np.sin(1) * np.cos(1)), rtol=1e-6)
    assert facts["On the chip"] == "True"
    assert facts["Artifacts"] == "model.stablehlo.mlir"
    text = (tmp_path / "output/model.stablehlo.mlir").read_text(encoding="utf-8")
    assert text.count("stablehlo.sine") == text.count("stablehlo.cosine") == 1


def test_single_chip_torch(tmp_path: Path) -> None:
    if package_version("torchax") is None:
        pytest.skip('torchax is not installed: pip install "pytest-tt[torch]"; nox\'s session pytorch has it')
    import torch

    name = "single_chip_torch.py"
    facts = printed(name, *COMMANDS[name], tmp_path)
    example = module_of(name)
    with torch.no_grad():
        expected = example.make_model().double()(torch.from_numpy(example.IMAGES).double()).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(facts["Output"], expected, atol=1e-6)
    assert facts["On the chip"] == "True"
    assert facts["Largest difference from PyTorch"] < 1e-6


def test_tensor_parallel_pair(tmp_path: Path) -> None:
    name = "tensor_parallel_pair.py"
    facts = printed(name, *COMMANDS[name], tmp_path)
    layers = weights(module_of(name).init_on_host()["params"])
    (first, first_bias), (second, second_bias) = layers["dense1"], layers["dense2"]
    expected = np.maximum(np.ones(64) @ first + first_bias, 0) @ second + second_bias
    np.testing.assert_allclose(facts["First row"], expected, rtol=1e-4, atol=1e-5)
    assert (facts["Chips"], facts["Columns of the first layer on each chip"], facts["All-reduces"]) == (8, 16, 1)
    assert facts["Result shape"] == "(8, 64, 64)"


def test_train_on_host(tmp_path: Path) -> None:
    facts = printed("train_on_host.py", *COMMANDS["train_on_host.py"], tmp_path)
    losses, prediction = train_in_numpy()
    for step, loss in losses.items():
        assert float(facts[f"Step {step}, loss"]) == pytest.approx(loss, abs=2e-4)
    assert losses[80] < losses[0] - 4
    np.testing.assert_allclose(facts["Prediction"], [[prediction]], rtol=1e-4)
    assert facts["Trained on the host"] == facts["On the chip"] == "True"
    assert (tmp_path / "model_params.msgpack").stat().st_size > 0


def train_in_numpy() -> tuple[dict[int, float], float]:
    """Losses by step and the prediction for 1, 2, 3, 4: backpropagation and Adam written out.

    All units and all examples are equal, so a layer is one number: the sums over equal units are factors.
    """
    units, rate, target = 8, 0.001, 4.0
    p = np.full(4, 0.01)  # weight and bias of the first layer, weight and bias of the second
    mean, square = np.zeros(4), np.zeros(4)
    losses = {}
    for step in range(100):
        hidden = 4 * p[0] + p[1]
        assert hidden > 0, "so that the ReLU lets it pass"
        slope = 2 * (units * p[2] * hidden + p[3] - target)
        gradient = np.array([slope * p[2], slope * p[2], slope * hidden, slope])
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        p = p - rate * (mean / (1 - 0.9 ** (step + 1))) / (np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-8)
        if step % 20 == 0:
            losses[step] = (units * p[2] * (4 * p[0] + p[1]) + p[3] - target) ** 2
    return losses, units * p[2] * (10 * p[0] + p[1]) + p[3]
