"""The benchmark of Qwen2.5-7B, on a tiny variant: it runs as a module, and what it makes up is fit to measure with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.qwen7b", "--no-pytorch", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


pytestmark = pytest.mark.skipif(
    not os.environ.get("ZOO_SLOW"), reason="takes long: set ZOO_SLOW=1, as nox's session slow does"
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads memory from /proc")
def test_qwen7b_on_a_tiny_variant(tmp_path: Path) -> None:
    first = run("--variant", "tiny-28-4", "--mesh", "1x2", "--directory", str(tmp_path / "kept"))
    assert first.returncode == 0, first.stderr
    assert "made up and written" in first.stdout
    held = re.search(r"bytes per chip +([\d,]+) \(([\d,]+) predicted\), 2 chips", first.stdout)
    assert held is not None
    assert held[1] == held[2]
    tokens = re.search(r"tokens (\[\d+, \d+, \d+, \d+\])", first.stdout)
    assert tokens is not None
    index = json.loads((tmp_path / "kept" / "model.safetensors.index.json").read_bytes())
    assert len(set(index["weight_map"].values())) == 4

    again = run("--variant", "tiny-28-4", "--mesh", "2x4", "--directory", str(tmp_path / "kept"))
    assert again.returncode == 0, again.stderr
    assert "was there" in again.stdout
    assert tokens[1] in again.stdout

    other = run("--variant", "tiny-14-2", "--directory", str(tmp_path / "kept"))
    assert other.returncode == 2
    (line,) = other.stderr.splitlines()
    assert "not a checkpoint of tiny-14-2: hidden_size is 224, not 112" in line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--variant", "qwen2.5-9b"], "qwen2_5 has no variant 'qwen2.5-9b'; expected one of tiny-28-4"),
        (["--mesh", "3x3"], "--mesh 3x3: expected one of 1x1, 1x2"),
        (["--mesh", "wide"], "'wide' is not a mesh"),
    ],
)
def test_what_qwen7b_refuses(arguments: list[str], text: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"benchmarks.qwen7b: {text}")


def test_quick_numbers_are_no_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import quick

    drawn = quick.uniform("a", (4096, 2048), low=-0.5, high=1.5)
    assert drawn.dtype == np.float32
    assert drawn.size > 2 * quick.BLOCK - 1
    assert abs(drawn.mean() - 0.5) < 0.01
    assert abs(drawn.std() - 2 / 12**0.5) < 0.01
    rows = drawn[::64] - 0.5
    likeness = np.corrcoef(rows)
    np.fill_diagonal(likeness, 0)
    assert np.abs(likeness).max() < 0.15  # no row is like another
    assert abs(np.corrcoef(drawn[:64].ravel(), quick.uniform("b", (64, 2048)).ravel())[0, 1]) < 0.02
    assert str(quick.uniform("a", (3,), dtype="bfloat16").dtype) == "bfloat16"


@pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2", "qwen2_5", "resnet"])
def test_quick_checkpoints_have_the_tensors_of_the_made_up_ones(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo import registry
    from zoo.checkpoints.tensor_files import TensorFiles

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import quick

    model = registry.model(name)
    variant = next(variant for variant in model.variants if variant.startswith("tiny"))
    quick.write(name, variant, tmp_path)
    wanted = {name: (tensor.shape, tensor.dtype) for name, tensor in model.synthetic_checkpoint(variant)}
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in TensorFiles(tmp_path).items()} == wanted


def test_the_plain_model_computes_what_the_zoo_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `benchmarks/baseline.py` would measure two different things."""
    import jax

    from zoo.checkpoints.placement import load_params
    from zoo.qwen2_5.registration import MODEL

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import baseline
    import quick

    variant = "tiny-28-4"
    config, (host, *_) = MODEL.config(variant), jax.devices("cpu")
    quick.write("qwen2_5", variant, tmp_path)
    ids = np.arange(3, 15, dtype=np.int32)[None] * 7
    weights, cache = baseline.read(tmp_path, config), np.zeros((2, 2, 1, 12, 4, 8), np.float32)
    with jax.default_device(host):
        at_once, _ = baseline.logits(weights, ids, np.int32(0), jax.numpy.array(cache), config=config)
        _, cache = baseline.logits(weights, ids[:, :11], np.int32(0), jax.numpy.array(cache), config=config)
        by_cache, _ = baseline.logits(weights, ids[:, 11:], np.int32(11), cache, config=config)
        mesh = jax.sharding.Mesh(np.array([[host]]), ("batch", "model"))
        positions = np.arange(12, dtype=np.int32)[None]
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": positions}
        forward = MODEL.architecture.forward(MODEL.architecture.build(config))
        expected = forward(load_params(MODEL, variant, mesh, tmp_path), inputs)["logits"]
    for found, wanted in ((at_once, expected), (by_cache[:, -1], expected[:, -1])):
        difference = np.asarray(found, np.float64) - np.asarray(wanted)
        assert np.linalg.norm(difference) < 1e-5 * np.linalg.norm(wanted)
