"""The CNN's accuracy on every mesh, its training, and proof that the goldens catch wrong models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from pytest_tt.compare import compare
from zoo.cnn import params as cnn_params
from zoo.cnn import train
from zoo.cnn.data import HELD_OUT, Images, load_images
from zoo.cnn.model import BATCH, CNN, CONFIGS, DIGITS, CNNConfig
from zoo.cnn.reference import CASES
from zoo.cnn.registration import MODEL, weights

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def images() -> tuple[Images, Images]:
    return load_images()


@pytest.mark.tt(mesh=list(MODEL.meshes))
def test_predictions(tt_jit: Any, tt_golden: Any, tt_run: Any, images: tuple[Images, Images]) -> None:
    """What a logit is for: on every mesh the chips name the digits that the reference names, and most are right."""
    golden = tt_golden.load("digits", reference=CASES["digits"])
    pixels, held_out = golden.inputs["pixels"], images[1]
    np.testing.assert_array_equal(pixels, held_out.pixels)
    logits = tt_jit(CNN(DIGITS).apply, in_shardings=(P(), BATCH), out_shardings=BATCH)(weights(DIGITS), pixels)
    predictions, best = np.asarray(logits).argmax(axis=-1), np.sort(golden.outputs["logits"], axis=-1)
    # Real chips compute in bfloat16: there, two logits that nearly agree may change places.
    clear = best[:, -1] - best[:, -2] > (0.0 if tt_run.backend == "sim" else 0.02 * best[:, -1])
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(predictions[clear], golden.outputs["logits"].argmax(axis=-1)[clear])
    assert (predictions == held_out.labels).mean() >= 0.97


def test_images(images: tuple[Images, Images]) -> None:
    training, held_out = images
    assert (len(training.labels), len(held_out.labels)) == (1413, HELD_OUT)
    assert training.pixels.dtype == np.float32
    assert training.pixels.shape[1:] == (8, 8, 1)
    assert {float(part.min()) for part in (training.pixels, held_out.pixels)} == {0.0}
    assert {float(part.max()) for part in (training.pixels, held_out.pixels)} == {1.0}
    per_class = np.bincount(held_out.labels)
    assert len(per_class) == 10
    assert 36 <= per_class.min() <= per_class.max() <= 39
    seen = {image.tobytes() for image in training.pixels}
    assert not seen & {image.tobytes() for image in held_out.pixels}


def test_shifted_moves_images() -> None:
    pixels = np.arange(1, 17, dtype=np.float32).reshape(1, 4, 4, 1).repeat(3, axis=0)
    moved = train.shifted(pixels, np.array([[1, 1], [2, 1], [1, 0]]))[..., 0]
    np.testing.assert_array_equal(moved[0], pixels[0, ..., 0])
    np.testing.assert_array_equal(moved[1], np.vstack([np.zeros((1, 4)), pixels[0, :-1, :, 0]]))
    np.testing.assert_array_equal(moved[2], np.hstack([pixels[0, :, 1:, 0], np.zeros((4, 1))]))


def test_training_reaches_97_percent(images: tuple[Images, Images]) -> None:
    """From scratch, as ``python -m zoo.cnn.train`` does it; rounding may move single images."""
    training, held_out = images
    trained, losses = train.fit(training)
    assert np.mean(losses[-20:]) < losses[0] / 20
    logits = train.predict(trained, held_out.pixels)
    assert train.accuracy(logits, held_out.labels) >= 0.97
    recorded = train.predict(cnn_params.recorded(), held_out.pixels)
    assert (logits.argmax(axis=-1) == recorded.argmax(axis=-1)).mean() >= 0.98


def on_host(config: CNNConfig, tree: Any, pixels: np.ndarray) -> dict[str, np.ndarray]:
    with jax.default_device(jax.devices("cpu")[0]):
        return {"logits": np.asarray(CNN(config).apply(tree, pixels))}


def without_bias(layer: str) -> Callable[[Any], Any]:
    def fault(tree: Any) -> Any:
        layers = tree["params"]
        return {"params": {**layers, layer: {**layers[layer], "bias": np.zeros_like(layers[layer]["bias"])}}}

    return fault


def kernel_turned(tree: Any) -> Any:
    """Rows and columns of the convolution's kernel swapped."""
    layers = tree["params"]
    kernel = layers["Conv_0"]["kernel"].swapaxes(0, 1)
    return {"params": {**layers, "Conv_0": {**layers["Conv_0"], "kernel": kernel}}}


def kernel_flipped(tree: Any) -> Any:
    """A true convolution where the frameworks correlate."""
    layers = tree["params"]
    kernel = np.ascontiguousarray(layers["Conv_0"]["kernel"][::-1, ::-1])
    return {"params": {**layers, "Conv_0": {**layers["Conv_0"], "kernel": kernel}}}


PARAMETER_FAULTS: dict[str, Callable[[Any], Any]] = {
    "no bias in the convolution": without_bias("Conv_0"),
    "no bias in the dense layer": without_bias("Dense_0"),
    "kernel turned": kernel_turned,
    "kernel flipped": kernel_flipped,
}


def channels_first(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Flattened in PyTorch's order: channel, row, column."""
    if isinstance(context.module, nn.Dense):
        (flat,) = args
        side = int((flat.shape[1] // 32) ** 0.5)
        args = (flat.reshape(-1, side, side, 32).transpose(0, 3, 1, 2).reshape(flat.shape),)
    return call(*args, **kwargs)


def valid_padding(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Convolved without padding; the lost border is put back as zeros, so that the shapes agree."""
    result = call(*args, **kwargs)
    if isinstance(context.module, nn.Conv):
        result = jnp.pad(result[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0)))
    return result


def circular_padding(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Convolved with the opposite border as padding."""
    if isinstance(context.module, nn.Conv):
        padded = jnp.pad(args[0], ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        return call(padded, *args[1:], **kwargs)[:, 1:-1, 1:-1]
    return call(*args, **kwargs)


MODULE_FAULTS = {fault.__name__: fault for fault in (channels_first, valid_padding, circular_padding)}

FUNCTION_FAULTS: dict[str, tuple[str, Any]] = {
    "no relu": ("relu", lambda x: x),
    "gelu for relu": ("relu", nn.gelu),
    "maximum for average": ("avg_pool", nn.max_pool),
    "sum for average": ("avg_pool", lambda x, *args, average=nn.avg_pool, **kwargs: 4 * average(x, *args, **kwargs)),
}

WITHIN_HW_BOUNDS = {("digits", "no bias in the dense layer"), ("lesson", "circular_padding")}
"""Faults that move logits by less than bfloat16 arithmetic may: the trained biases are small, and a 28x28 image has
little border. Simulated chips compute in float32 and catch these too."""

both_variants = pytest.mark.parametrize("config", CONFIGS.values(), ids=lambda config: config.name)


def assert_caught(config: CNNConfig, fault: str, tree: Any, tt_golden: Any) -> None:
    golden = tt_golden.load(config.name, reference=CASES[config.name])
    logits = on_host(config, tree, golden.inputs["pixels"])
    on_sim, on_hw = (compare(logits, golden.outputs, backend=backend) for backend in ("sim", "hw"))
    assert not on_sim.passed, on_sim.metrics()
    assert on_hw.passed == ((config.name, fault) in WITHIN_HW_BOUNDS), on_hw.metrics()


@both_variants
def test_no_fault_passes(config: CNNConfig, tt_golden: Any) -> None:
    golden = tt_golden.load(config.name, reference=CASES[config.name])
    logits = on_host(config, weights(config), golden.inputs["pixels"])
    assert compare(logits, golden.outputs, backend="sim").passed
    assert compare(logits, golden.outputs, backend="hw").passed


@both_variants
@pytest.mark.parametrize("fault", PARAMETER_FAULTS)
def test_wrong_parameters_fail(config: CNNConfig, fault: str, tt_golden: Any) -> None:
    assert_caught(config, fault, PARAMETER_FAULTS[fault](weights(config)), tt_golden)


@both_variants
@pytest.mark.parametrize("fault", MODULE_FAULTS)
def test_wrong_layers_fail(config: CNNConfig, fault: str, tt_golden: Any) -> None:
    with nn.intercept_methods(MODULE_FAULTS[fault]):
        assert_caught(config, fault, weights(config), tt_golden)


@both_variants
@pytest.mark.parametrize("fault", FUNCTION_FAULTS)
def test_wrong_functions_fail(config: CNNConfig, fault: str, tt_golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong = FUNCTION_FAULTS[fault]
    monkeypatch.setattr(nn, name, wrong)
    assert_caught(config, fault, weights(config), tt_golden)
