"""The MLPs written out by hand, and the train-save-load-infer workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from pytest_tt.compare import compare
from pytest_tt.emulator.errors import EmulationError
from zoo.checkpoints.weights import WeightsError, read_weights
from zoo.mlp import params as mlp_params
from zoo.mlp import train
from zoo.mlp.model import DENSE, MEGATRON, MLP, SUM, MLPConfig
from zoo.mlp.reference import CASES
from zoo.mlp.registration import MODEL
from zoo.mlp.sharding import input_specs, output_specs, param_specs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MESHES = list(MODEL.sharding.meshes)


def in_numpy(tree: Mapping[str, Any], x: Any) -> np.ndarray:
    """The layers once more, in NumPy and float64, for parameters that no golden can know."""
    value = np.asarray(x, np.float64)
    for index, name in enumerate(sorted(tree["params"])):
        layer = {key: np.asarray(leaf, np.float64) for key, leaf in tree["params"][name].items()}
        value = np.maximum(value, 0.0) if index else value
        value = value @ layer["kernel"] + layer.get("bias", 0.0)
    return value


@pytest.mark.tt(mesh=MESHES)
@pytest.mark.parametrize("config", [DENSE, MEGATRON], ids=lambda config: config.name)
def test_initialised_on_the_host(
    config: MLPConfig, tt_mesh: Any, tt_jit: Any, cpu_init_params: Any, tt_run: Any
) -> None:
    x = np.linspace(-1, 1, 16 * config.widths[0], dtype=np.float32).reshape(16, -1)
    params = cpu_init_params(MLP(config), x, shardings=param_specs(config, tt_mesh))

    kernel = params["params"]["Dense_0"]["kernel"]
    assert kernel.sharding.is_equivalent_to(NamedSharding(tt_mesh, P(None, "model")), 2)
    share = (config.widths[0], config.widths[1] // tt_mesh.shape["model"])
    assert {shard.data.shape for shard in kernel.addressable_shards} == {share}
    assert np.unique(np.asarray(kernel)).size > kernel.size // 2
    if config is MEGATRON:
        second = params["params"]["Dense_1"]["kernel"]
        assert second.sharding.is_equivalent_to(NamedSharding(tt_mesh, P("model", None)), 2)

    specs = param_specs(config, tt_mesh), input_specs(config, tt_mesh)["x"]
    output = output_specs(config, tt_mesh)["output"]
    forward = tt_jit(MLP(config).apply, in_shardings=specs, out_shardings=output)
    outputs, expected = np.asarray(forward(params, x)), in_numpy(params, x).astype(np.float32)
    verdict = compare({"output": outputs}, {"output": expected}, backend=tt_run.backend)
    assert verdict.passed, verdict.text()


@pytest.mark.tt(mesh=["1x4", "2x4"])
@pytest.mark.parametrize("summed", [True, False], ids=["summed", "not summed"])
def test_row_parallel_layer_by_hand(summed: bool, tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any) -> None:
    """What the partitioner does, written out with shard_map; without the sum over the chips the golden says no."""
    golden = tt_golden.load("megatron", reference=CASES["megatron"])

    def on_one_chip(params: Any, x: jax.Array) -> jax.Array:
        first, second = params["params"]["Dense_0"], params["params"]["Dense_1"]
        hidden = nn.relu(x @ first["kernel"] + first["bias"])
        result: jax.Array = hidden @ second["kernel"]
        if summed:
            result = jax.lax.psum(result, "model")
        result += second["bias"]
        return result

    in_specs = (param_specs(MEGATRON, tt_mesh), input_specs(MEGATRON, tt_mesh)["x"])
    forward = jax.shard_map(
        on_one_chip,
        mesh=tt_mesh,
        in_specs=in_specs,
        out_specs=output_specs(MEGATRON, tt_mesh)["output"],
        check_vma=False,  # it would find the missing sum before the golden does
    )
    # TT's compiler takes the arguments as shard_map splits them, so they must be split before.
    run = tt_jit(forward, in_shardings=in_specs)
    if tt_run.backend == "emu" and not summed:
        with pytest.raises(EmulationError, match="chips hold different values"):
            run(mlp_params.golden_params(MEGATRON), golden.inputs["x"])
        return
    outputs = run(mlp_params.golden_params(MEGATRON), golden.inputs["x"])
    verdict = compare({"output": np.asarray(outputs)}, golden.outputs, backend=tt_run.backend)
    assert verdict.passed == summed, verdict.text()


@pytest.fixture(scope="module")
def training() -> tuple[dict[str, Any], list[float]]:
    """Parameters trained from scratch on the host, and the losses on the way."""
    return train.fit(train.initial(), train.task("train", 512))


@pytest.mark.tt
def test_train_save_load_infer(tmp_path: Path, tt_device: Any, tt_run: Any, training: Any) -> None:
    """The whole workflow: trained on the host, saved, loaded elsewhere, run on one chip."""
    trained, losses = training
    assert losses[-1] < losses[0] / 1000
    mlp_params.save_params(tmp_path / "sum.msgpack", trained, SUM)

    loaded = mlp_params.load_params(tmp_path / "sum.msgpack", SUM)
    jax.tree.map(np.testing.assert_array_equal, loaded, trained)

    held_out = train.task("held-out", 512)
    on_chip = jax.device_put((loaded, held_out.x), tt_device)
    outputs = jax.jit(MLP(SUM).apply)(*on_chip)
    assert outputs.devices() == {tt_device}
    assert train.root_mean_square_error(np.asarray(outputs), held_out) < 0.2  # the sums spread by 5.8

    with jax.default_device(jax.devices("cpu")[0]):
        on_host = np.asarray(jax.jit(MLP(SUM).apply)(loaded, held_out.x))
    for expected in (on_host, in_numpy(loaded, held_out.x).astype(np.float32)):
        verdict = compare({"output": np.asarray(outputs)}, {"output": expected}, backend=tt_run.backend)
        assert verdict.passed, verdict.text()


def test_recorded_parameters_are_what_training_gives(training: Any) -> None:
    """Rounding differs between versions of XLA and between CPUs, hence the room."""
    trained, _ = training
    held_out = train.task("held-out", 512)
    outputs, recorded = (in_numpy(tree, held_out.x) for tree in (trained, mlp_params.recorded()))
    assert np.abs(outputs - recorded).max() < 0.05
    assert train.root_mean_square_error(recorded, held_out) < 0.1


def test_constant_initialiser_makes_all_units_equal(training: Any) -> None:
    """Why the tutorial's constant(0.01) is not used: equal units get equal gradients, for ever."""
    constant = jax.tree.map(lambda leaf: np.full_like(leaf, 0.01), train.initial())
    trained, losses = train.fit(constant, train.task("train", 512))
    kernel = trained["params"]["Dense_0"]["kernel"]
    assert (kernel == kernel[:, :1]).all()
    assert losses[-1] > 100 * training[1][-1]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file(tmp_path: Path, share: float) -> None:
    path = tmp_path / "sum.msgpack"
    mlp_params.save_params(path, mlp_params.recorded(), SUM)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(mlp_params.ParamsError, match=r"sum\.msgpack: .* cut short"):
        mlp_params.load_params(path, SUM)


def test_altered_file(tmp_path: Path) -> None:
    path = tmp_path / "sum.msgpack"
    mlp_params.save_params(path, mlp_params.recorded(), SUM)
    content = path.read_bytes()
    bias = np.asarray(mlp_params.recorded()["params"]["Dense_0"]["bias"]).tobytes()
    assert content.count(bias) == 1
    path.write_bytes(content.replace(bias, bias[::-1]))
    with pytest.raises(mlp_params.ParamsError, match="SHA-256 differs"):
        mlp_params.load_params(path, SUM)


def test_file_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "dense.msgpack"
    mlp_params.save_params(path, mlp_params.synthetic_params(DENSE), DENSE)
    with pytest.raises(mlp_params.ParamsError, match=r"'dense'.*expected.*'sum'"):
        mlp_params.load_params(path, SUM)
    mlp_params.save_params(path, mlp_params.synthetic_params(DENSE), SUM)
    with pytest.raises(mlp_params.ParamsError, match=r"Dense_0/kernel \(expected \(4, 32\), found \(8, 8\)\)"):
        mlp_params.load_params(path, SUM)
    path.write_bytes(b"\x01")
    with pytest.raises(mlp_params.ParamsError, match="not written by save_params"):
        mlp_params.load_params(path, SUM)


def test_saving_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sum.msgpack"
    mlp_params.save_params(path, mlp_params.recorded(), SUM)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        mlp_params.save_params(path, mlp_params.synthetic_params(SUM), SUM)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_recorded_file_is_pinned(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_weights(tmp_path / "sum.safetensors", mlp_params.RECORDED_SHA256)
    changed = tmp_path / "sum.safetensors"
    changed.write_bytes(mlp_params.RECORDED.read_bytes() + b" ")
    with pytest.raises(WeightsError, match="is not the pinned"):
        read_weights(changed, mlp_params.RECORDED_SHA256)
