"""ViT beside the contract test: padding is exact, other dtypes, checkpoints as transformers saves them, the demo."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from pytest_tt.compare import Bounds, compare, flatten
from zoo.__main__ import main
from zoo.checkpoints.loading import convert_tensors, load_checkpoint, on_host
from zoo.checkpoints.placement import prepared
from zoo.checkpoints.tensor_files import CheckpointError, save_checkpoint
from zoo.resnet.reference import photo
from zoo.vision.images import Preparation
from zoo.vit import params, sharding
from zoo.vit.model import BASE, TINY, ViT
from zoo.vit.registration import MODEL

if TYPE_CHECKING:
    from pathlib import Path

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

run_tiny = jax.jit(ViT(TINY).apply)


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    return params.synthetic_params(TINY)


def on_cpu(weights: Any, images: np.ndarray) -> np.ndarray:
    with jax.default_device(jax.devices("cpu")[0]):
        return np.asarray(run_tiny(weights, images))


def test_padding_adds_exactly_nothing(tiny: Any) -> None:
    """The parameters stay as they are inside; outside are zeros."""
    mesh: Any = AbstractMesh((1, 8), ("batch", "model"))
    fitted = sharding.fit(TINY, mesh)
    assert (fitted.num_attention_heads, fitted.intermediate_size) == (8, 96)
    assert sharding.fit(BASE, mesh).num_attention_heads == 16
    grown = flatten(prepared(sharding.prepare(TINY, mesh), tiny))
    for name, value in flatten(tiny).items():
        inside = tuple(slice(size) for size in value.shape)
        np.testing.assert_array_equal(grown[name][inside], value, err_msg=name)
        outside = np.ones(grown[name].shape, bool)
        outside[inside] = False
        assert (grown[name][outside] == 0).all(), name


def test_images_of_another_size(tiny: Any) -> None:
    with pytest.raises(ValueError, match=r"images are \(32, 24, 3\), expected \(24, 24, 3\): scale and crop them"):
        on_cpu(tiny, np.zeros((1, 32, 24, 3), np.float32))


def test_bfloat16(tiny: Any, tt_golden: Any) -> None:
    """Parameters in bfloat16 make a program in bfloat16."""
    golden = tt_golden.load("tiny", reference=MODEL.goldens["tiny"].reference)
    with jax.default_device(jax.devices("cpu")[0]):
        weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), tiny)
    logits = on_cpu(weights, golden.inputs["pixel_values"])
    assert logits.dtype.name == "bfloat16"
    verdict = compare({"logits": logits}, golden.outputs, backend="hw", bounds=Bounds(pcc=0.999))
    assert verdict.passed, verdict.text()


@needs_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("size", ["5GB", "20KB"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_as_transformers_saves_it(size: str, dtype: str, tmp_path: Path) -> None:
    """ViTForImageClassification.save_pretrained, in one file and sharded, and what PyTorch gives for it."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    facts = {name: value for name, value in params.hub_config(TINY).items() if name != "architectures"}
    torch.manual_seed(0)
    theirs = ViTForImageClassification(ViTConfig(**facts)).to(getattr(torch, dtype)).eval()
    theirs.save_pretrained(tmp_path, max_shard_size=size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (size == "20KB")
    weights = load_checkpoint(tmp_path, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY), on_host)
    images = np.random.default_rng(0).normal(size=(2, 24, 24, 3)).astype(np.float32)
    with torch.no_grad():
        logits = theirs.float()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).logits
    verdict = compare({"logits": on_cpu(weights, images)}, {"logits": logits.numpy()})
    assert verdict.passed, verdict.text()


def test_checkpoints_that_do_not_fit() -> None:
    """An encoder without the head, as ViTModel is saved, and one with a pooler."""
    tensors = dict(params.synthetic_checkpoint(TINY))
    shapes = MODEL.architecture.shapes(TINY)
    encoder = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier")}
    with pytest.raises(CheckpointError, match="no tensor fills: params/classifier/bias, params/classifier/kernel"):
        convert_tensors(encoder, TINY, params.key_map(TINY), shapes)
    pooler = {**tensors, "vit.pooler.dense.weight": np.zeros((48, 48), np.float32)}
    with pytest.raises(CheckpointError, match=r"vit\.pooler\.dense\.weight"):
        convert_tensors(pooler, TINY, params.key_map(TINY), shapes)


@pytest.mark.tt(mesh="2x4")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Any, tt_run: Any) -> None:
    """The likeliest labels of an image, of a made-up checkpoint; and images prepared to another size are refused."""
    save_checkpoint(tmp_path, params.synthetic_checkpoint(TINY), config=params.hub_config(TINY))
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 24, "width": 24}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    np.save(tmp_path / "image.npy", photo(97, 61))
    given = ["run", "vit", str(tmp_path / "image.npy"), "--checkpoint", str(tmp_path), "--mesh", "2x4", "--top", "2"]
    assert main(given) == 0
    found = capsys.readouterr().out.splitlines()
    if tt_run.backend == "sim":
        logits = on_cpu(tiny, Preparation.from_json(processor, "ViT")(photo(97, 61))[None])
        assert [line.rsplit(maxsplit=2)[0].strip() for line in found[1:3]] == [
            f"label {n}" for n in np.argsort(-logits[0])[:2]
        ]
    assert "model       vit, tiny" in found
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(SystemExit):
        main(given)
    assert "images are prepared to 224 pixels, tiny takes 24" in capsys.readouterr().err
