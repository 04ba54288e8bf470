"""Padding for any number of chips, and checkpoints by all names they come under.

That each variant's golden agrees on every mesh, `zoo/test_contract.py` shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_tt.compare import flatten
from pytest_tt.tt_compiler.upstream import refused
from zoo.checkpoints.loading import CheckpointError, convert_tensors, save_checkpoint
from zoo.checkpoints.placement import load_params, prepared
from zoo.gpt2 import params as gpt2_params
from zoo.gpt2.model import CONFIGS, GPT2, TINY
from zoo.gpt2.reference import golden as reference
from zoo.gpt2.reference import select
from zoo.gpt2.registration import MODEL
from zoo.gpt2.sharding import fit, input_specs, output_specs, param_specs, prepare
from zoo.layers.masks import MASKED
from zoo.parts.sharding import bound

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}
"""As published, with the embedding that the head is tied to counted once."""


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    return gpt2_params.synthetic_params(TINY)


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    config = CONFIGS[variant]
    c, inner = config.hidden_size, config.intermediate_size
    layer = 4 * c + (3 * c * c + 3 * c) + (c * c + c) + (c * inner + inner) + (inner * c + c)
    assert config.num_attention_heads * config.head_dim == c
    assert (
        config.vocab_size * c + config.max_position_embeddings * c + config.num_hidden_layers * layer + 2 * c
        == PARAMETERS[variant]
    )


@pytest.mark.tt(mesh=["1x3", "1x5", "1x7", "4x6"])
def test_numbers_of_chips_that_divide_nothing(
    weights: dict[str, Any], any_mesh: Any, tt_jit: Any, tt_golden: Any
) -> None:
    golden = tt_golden.load("tiny", reference=lambda: reference("tiny"))
    fitted = fit(TINY, any_mesh)
    specs = input_specs(fitted, any_mesh)
    assert set(specs) == set(golden.inputs)
    forward = tt_jit(
        MODEL.architecture.forward(GPT2(fitted)),
        in_shardings=(param_specs(fitted, any_mesh), specs),
        out_shardings=output_specs(fitted, any_mesh),
    )
    outputs = forward(prepared(prepare(TINY, any_mesh), weights), golden.inputs)
    (program,) = forward.programs
    assert refused(program.stablehlo) == ()
    assert program.collectives in ({"all-reduce": 2 * TINY.num_hidden_layers + 1}, None)
    logits = np.asarray(outputs["logits"])
    chips = any_mesh.shape["model"]
    assert logits.shape[-1] % chips == fitted.num_attention_heads % chips == fitted.intermediate_size % chips == 0
    assert (logits[..., TINY.vocab_size :] == MASKED).all()
    tt_golden(select(TINY, {"logits": logits}), "tiny", reference=lambda: reference("tiny"), weights=weights)


@pytest.mark.tt(mesh="2x2")
def test_derivatives(weights: dict[str, Any], tt_mesh: Any) -> None:
    """Those of the loss on four chips, for fine-tuning, are those on one."""
    ids = (np.arange(32, dtype=np.int32).reshape(4, 8) * 7) % TINY.vocab_size
    places = np.broadcast_to(np.arange(8, dtype=np.int32), ids.shape)

    def gradient(config: Any, params: Any) -> dict[str, Any]:
        def loss(params: Any) -> jax.Array:
            logits: Any = GPT2(config).apply(params, ids, np.ones_like(ids), places)
            logits = logits[..., : TINY.vocab_size]
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), ids[..., None], axis=-1).mean()

        found = jax.jit(jax.grad(loss, allow_int=True))(params)
        del found["params"]["wte"]["first_row"]  # whole numbers have none
        return flatten(found)

    fitted = fit(TINY, tt_mesh)
    placed = jax.device_put(prepared(prepare(TINY, tt_mesh), weights), bound(param_specs(fitted, tt_mesh), tt_mesh))
    found, expected = gradient(fitted, placed), gradient(TINY, weights)
    for name, leaf in expected.items():
        own = np.asarray(found[name])[tuple(slice(length) for length in leaf.shape)]  # without the padding
        np.testing.assert_allclose(own, leaf, atol=1e-7 + 1e-5 * float(np.abs(leaf).max()), err_msg=name)


@pytest.mark.tt(mesh="1x8")
def test_padding_is_zeros_behind_what_was_there(weights: dict[str, Any], tt_mesh: Any) -> None:
    before, after = flatten(weights), flatten(prepared(prepare(TINY, tt_mesh), weights))
    assert set(after) == set(before)
    assert after.pop("params/wte/first_row").tolist() == [0, 13, 26, 39, 52, 65, 78, 91]
    grown = set()
    for name, leaf in after.items():
        old = before[name]
        np.testing.assert_array_equal(leaf[tuple(slice(length) for length in old.shape)], old)
        if leaf.shape != old.shape:
            grown.add(name.split("/")[-2])
            filling = MASKED if name.endswith("lm_head/bias") else 0.0
            assert (leaf == filling).sum() == leaf.size - old.size + (old == filling).sum(), name
            np.testing.assert_array_equal(prepare(TINY, tt_mesh)(name, old), leaf)
    assert grown == {"q", "k", "v", "out", "wte", "lm_head"}  # 96 inner columns divide by 8


def test_names_of_published_checkpoints(weights: dict[str, Any]) -> None:
    """The hub's files have no prefix and hold the causal masks; save_pretrained adds it and leaves the head out."""
    published: dict[str, Any] = {
        name.removeprefix("transformer."): tensor for name, tensor in gpt2_params.synthetic_checkpoint(TINY)
    }
    published["h.0.attn.bias"] = np.tri(48, dtype=np.float32)[None, None]
    published["h.1.attn.masked_bias"] = np.float32(-1e4)
    published["lm_head.weight"] = published["wte.weight"]
    found = flatten(convert_tensors(published, TINY, gpt2_params.key_map(TINY), MODEL.architecture.shapes(TINY)))
    assert {name: leaf.tobytes() for name, leaf in found.items()} == {
        name: leaf.tobytes() for name, leaf in flatten(weights).items()
    }
    alone = {name: tensor for name, tensor in published.items() if name != "wte.weight"}
    same = flatten(convert_tensors(alone, TINY, gpt2_params.key_map(TINY), MODEL.architecture.shapes(TINY)))
    assert {name: leaf.tobytes() for name, leaf in same.items()} == {n: leaf.tobytes() for n, leaf in found.items()}
    wrong = {
        "lm_head.weight": published["lm_head.weight"][::-1],
        "h.0.attn.bias": np.ones((1, 1, 48, 48), np.float32),
        "h.1.attn.masked_bias": np.float32(-1.0),
    }
    with pytest.raises(CheckpointError, match="holds tensors that the model would not use") as error:
        convert_tensors({**published, **wrong}, TINY, gpt2_params.key_map(TINY), MODEL.architecture.shapes(TINY))
    assert str(error.value).count("lm_head.weight (the model uses wte.weight in its place, and they differ)") == 1
    assert "h.0.attn.bias (float32 (1, 1, 48, 48), not what the model has there: each position" in str(error.value)
    assert "h.1.attn.masked_bias (float32 (), not what" in str(error.value)
    del published["h.1.ln_2.bias"]
    published["h.1.ln_3.bias"] = published["ln_f.bias"]
    with pytest.raises(CheckpointError, match=r"h\.1\.ln_3\.bias") as error:
        convert_tensors(published, TINY, gpt2_params.key_map(TINY), MODEL.architecture.shapes(TINY))
    assert "h_1/ln_2/bias" in str(error.value)


@pytest.mark.tt(mesh="1x4")
@pytest.mark.parametrize("shards", [1, 5])
def test_checkpoint_on_disk(shards: int, weights: dict[str, Any], tmp_path: Path, tt_mesh: Any) -> None:
    save_checkpoint(
        tmp_path, gpt2_params.synthetic_checkpoint(TINY), shards=shards, config=gpt2_params.hub_config(TINY)
    )
    assert len(list(tmp_path.glob("*.safetensors"))) == shards
    loaded = load_params(MODEL, "tiny", tt_mesh, tmp_path)
    expected = prepared(prepare(TINY, tt_mesh), weights)
    jax.tree.map(np.testing.assert_array_equal, loaded, expected)
    kernel = loaded["params"]["h_0"]["attn"]["q"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(TINY.hidden_size, TINY.head_dim)}
