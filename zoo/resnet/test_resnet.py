"""The published sizes and names, other dtypes and checkpoints.

That each variant's golden agrees on every mesh, `zoo/test_contract.py` shows.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding

from pytest_tt.compare import compare, flatten
from pytest_tt.golden import load
from zoo.checkpoints.loading import CheckpointError, convert_tensors, save_checkpoint
from zoo.checkpoints.placement import load_params
from zoo.resnet.model import CONFIGS, TINY, TINY_BASIC, ResNet, ResNetConfig
from zoo.resnet.params import hub_config, key_map, read_config, shapes, synthetic_checkpoint, synthetic_params
from zoo.resnet.reference import made_up_images
from zoo.resnet.registration import MODEL
from zoo.resnet.sharding import BATCH, param_specs
from zoo.vision.labels import Guess, read_labels, top

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARAMETERS = {
    "resnet-18": 11_689_512,
    "resnet-34": 21_797_672,
    "resnet-50": 25_557_032,
    "resnet-101": 44_549_160,
    "resnet-152": 60_192_808,
}
"""As published, without batch norm's statistics."""


@pytest.fixture(scope="module")
def weights() -> Mapping[str, Mapping[str, Any]]:
    """Variables of the small golden cases."""
    return {case: MODEL.weights_of(case) for case in ("tiny", "tiny-basic")}


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    leaves = jax.tree.leaves(shapes(CONFIGS[variant])["params"])
    assert sum(math.prod(leaf.shape) for leaf in leaves) == PARAMETERS[variant]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=lambda config: config.name)
def test_config_json(config: ResNetConfig) -> None:
    assert read_config(config.name, hub_config(config)) == config


def test_config_json_of_another_model() -> None:
    published = hub_config(TINY)
    assert read_config("x", {"num_labels": 10}) == replace(CONFIGS["resnet-50"], name="x", num_labels=10)
    for wrong in (
        {"model_type": "vit"},
        {"downsample_in_bottleneck": True},
        {"downsample_in_first_stage": True},
        {"hidden_act": "gelu"},
        {"groups": 32},
    ):
        ((key, value),) = wrong.items()
        with pytest.raises(ValueError, match=f"x: config.json is not of a ResNet .* here: {key} is {value!r}, "):
            read_config("x", {**published, **wrong})
    with pytest.raises(ValueError, match="layer_type is 'wide', expected basic or bottleneck"):
        read_config("x", {**published, "layer_type": "wide"})
    with pytest.raises(ValueError, match="must hold one entry a stage"):
        read_config("x", {**published, "depths": [1]})
    with pytest.raises(ValueError, match="must divide by 4"):
        read_config("x", {**published, "hidden_sizes": [32, 48, 66]})


@pytest.mark.parametrize("variant", PARAMETERS)
def test_key_map_takes_every_name(variant: str) -> None:
    """The names and shapes that transformers gives a whole checkpoint, without its numbers."""
    config = CONFIGS[variant]
    small = replace(config, hidden_sizes=tuple(size // 16 for size in config.hidden_sizes), embedding_size=4)
    tree = convert_tensors(dict(synthetic_checkpoint(small)), small, key_map(small), shapes(small))
    assert set(flatten(tree)) == set(flatten(jax.tree.map(lambda leaf: np.zeros(1), shapes(config))))


@pytest.mark.tt(mesh=["1x2", "2x4"])
@pytest.mark.parametrize("shards", [1, 5])
def test_checkpoint_on_disk(shards: int, tmp_path: Path, tt_mesh: Any) -> None:
    save_checkpoint(tmp_path, synthetic_checkpoint(TINY), shards=shards, config=hub_config(TINY))
    params = load_params(MODEL, "tiny", tt_mesh, tmp_path)
    expected = flatten(synthetic_params(TINY))
    assert all(leaf.sharding.is_fully_replicated and leaf.committed for leaf in jax.tree.leaves(params))
    found = flatten(params)
    assert set(found) == set(expected)
    for name, leaf in found.items():
        np.testing.assert_array_equal(leaf, expected[name])


@pytest.mark.tt
def test_checkpoint_of_another_size(tmp_path: Path, tt_mesh: Any) -> None:
    save_checkpoint(tmp_path, synthetic_checkpoint(TINY_BASIC))
    with pytest.raises(CheckpointError) as error:
        load_params(MODEL, "tiny", tt_mesh, tmp_path)
    assert "parameters that no tensor fills: batch_stats/stage_0_layer_0/conv_2/normalization/mean" in str(error.value)
    save_checkpoint(tmp_path, synthetic_checkpoint(replace(TINY, num_labels=10)))
    with pytest.raises(CheckpointError, match=r"'classifier\.1\.(weight|bias)'.* is it of another size"):
        load_params(MODEL, "tiny", tt_mesh, tmp_path)


@pytest.mark.tt(mesh=["1x1", "1x8"])
def test_bfloat16(tt_mesh: Any, tt_jit: Any, weights: Any) -> None:
    """As a real chip computes: bounds are those of chips. Batch norm stays in float32."""
    golden = load(MODEL.golden_path("tiny"))
    images = jax.device_put(golden.inputs["pixel_values"].astype(ml_dtypes.bfloat16), NamedSharding(tt_mesh, BATCH))
    forward = tt_jit(ResNet(TINY).apply, in_shardings=(param_specs(TINY, tt_mesh), BATCH), out_shardings=BATCH)
    logits = forward(weights["tiny"], images)
    assert logits.dtype == jnp.float32
    (program,) = forward.programs
    assert "stablehlo.convolution" in program.stablehlo
    for line in program.stablehlo.splitlines():
        if "stablehlo.convolution" in line:
            assert "xbf16>" in line
        if "stablehlo.rsqrt" in line:
            assert "xf32>" in line
    verdict = compare({"logits": np.asarray(logits)}, golden.outputs, backend="hw")
    assert verdict.passed, verdict.text()
    assert not compare({"logits": np.asarray(logits)}, golden.outputs, backend="sim").passed


@pytest.mark.tt(mesh=["1x1", "1x4"])
def test_images_are_told_apart(tt_mesh: Any, tt_jit: Any, weights: Any) -> None:
    """Each chip has its own images: logits follow their image, wherever it is in the batch."""
    images = made_up_images("resnet/order", 8, 40, 33)
    forward = tt_jit(ResNet(TINY).apply, in_shardings=(param_specs(TINY, tt_mesh), BATCH), out_shardings=BATCH)
    logits = np.asarray(forward(weights["tiny"], images))
    turned = np.asarray(forward(weights["tiny"], images[::-1]))
    np.testing.assert_allclose(turned[::-1], logits, rtol=0, atol=1e-5)
    distances = [np.abs(logits[i] - logits[j]).max() for i in range(8) for j in range(i)]
    assert min(distances) > 0.1


def test_labels() -> None:
    labels = read_labels({"id2label": {"1": "dog", "0": "cat", "2": "bird"}})
    assert labels == ("cat", "dog", "bird")
    first, second = top(np.log(np.array([[1, 7, 2], [5, 5, 0.1]], np.float32)), labels, 2)
    assert [guess.label for guess in first] == ["dog", "bird"]
    assert first[0].probability == pytest.approx(0.7)
    assert isinstance(first[0], Guess)
    assert [guess.label for guess in second] == ["cat", "dog"]  # equal: in order
    (huge,) = top(np.array([[1e4, -1e4, 0.0]], np.float32), labels)
    assert [guess.probability for guess in huge] == [1.0, 0.0, 0.0]


def test_wrong_labels() -> None:
    for wrong in ({}, {"0": "cat", "2": "bird"}):
        with pytest.raises(ValueError, match="not numbered 0, 1, 2"):
            read_labels({"id2label": wrong})
    with pytest.raises(ValueError, match="has 0 labels"):
        read_labels({})
    with pytest.raises(ValueError, match=r"logits are \(1, 3\), expected \[batch, 2\]"):
        top(np.zeros((1, 3)), ("cat", "dog"))
