"""Heads on any number of chips, both ways to spread the weights, and bfloat16.

That each variant's golden agrees on every mesh in float32, `zoo/test_contract.py` shows.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from pytest_tt.compare import flatten
from pytest_tt.golden import digest
from pytest_tt.tt_compiler.upstream import refused
from zoo.checkpoints.loading import CheckpointError, convert_tensors
from zoo.checkpoints.placement import bytes_per_chip, place_params, prepared
from zoo.layers.decoder_sharding import (
    SHARDING,
    cache_specs,
    collectives,
    fit,
    input_specs,
    output_specs,
    param_specs,
    prepare,
)
from zoo.layers.heads import Heads, heads_on
from zoo.layers.rotary import rotations
from zoo.programs import problems_of, programs_of
from zoo.qwen2_5 import params as qwen_params
from zoo.qwen2_5.model import CONFIGS, Qwen2, Qwen2Config
from zoo.qwen2_5.reference import REFERENCE
from zoo.qwen2_5.registration import MODEL
from zoo.registry import SLOW

TINY, TIED = CONFIGS["tiny-28-4"], CONFIGS["tiny-14-2"]

PARAMETERS = {
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
}
"""As published, with the embedding that a head is tied to counted once."""


KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


@pytest.fixture(scope="module")
def weights() -> dict[str, dict[str, Any]]:
    return {config.name: qwen_params.synthetic_params(config) for config in (TINY, TIED)}


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    for name in (variant, f"{variant}-instruct"):
        config = MODEL.config(name)
        leaves = jax.tree.leaves(MODEL.architecture.shapes(config))
        assert sum(leaf.size for leaf in leaves) - 1 == PARAMETERS[variant]  # 1 for the number of the first row
        assert name in MODEL.sources


@pytest.mark.parametrize(
    ("heads", "kv_heads", "chips", "expected"),
    [
        (28, 4, 1, Heads(4, 7, 1)),
        (28, 4, 4, Heads(4, 7, 1)),
        (28, 4, 8, Heads(4, 8, 2)),
        (28, 4, 16, Heads(4, 8, 4)),
        (28, 4, 32, Heads(4, 8, 8)),
        (14, 2, 4, Heads(2, 8, 2)),
        (14, 2, 32, Heads(2, 16, 16)),
        (12, 2, 8, Heads(2, 8, 4)),
        (16, 2, 32, Heads(2, 16, 16)),
        (28, 4, 3, Heads(6, 7, 1)),
        (28, 4, 6, Heads(6, 7, 1)),
        (28, 4, 24, Heads(4, 12, 6)),
    ],
)
def test_heads_on_chips(heads: int, kv_heads: int, chips: int, expected: Heads) -> None:
    """Each head of queries lies whole on a chip, in order, beside the key-value head of its group."""
    assert heads_on(heads, kv_heads, chips) == expected
    config = replace(TINY, num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=2)
    mesh: Any = AbstractMesh((1, chips), ("batch", "model"))
    fitted = fit(config, mesh)
    numbered = {
        "q/bias": np.repeat(np.arange(1, heads + 1), 2),
        "k/bias": np.repeat(np.arange(1, kv_heads + 1), 2),
        "o/weight": np.repeat(np.arange(1, heads + 1), 2)[None],
    }
    to_chips = prepare(config, mesh)
    leaves = [to_chips(f"params/layers_0/attention/{name}", leaf) for name, leaf in numbered.items()]
    queries, keys, behind = (leaf.reshape(chips, -1, 2)[..., 0] for leaf in leaves)  # [chips, heads of a chip]
    assert (queries.size, keys.size) == (fitted.num_attention_heads, fitted.num_key_value_heads)
    np.testing.assert_array_equal(behind, queries)
    assert sorted(queries[queries > 0]) == list(range(1, heads + 1))
    for of_chip, held in zip(queries, keys, strict=True):
        for head, key in zip(of_chip, np.repeat(held, len(of_chip) // len(held)), strict=True):
            assert head == 0 or (head - 1) // (heads // kv_heads) == key - 1


def ways() -> list[Any]:
    """What the contract test does not run: all chips one copy, bfloat16, and numbers of chips that divide nothing."""
    found = [("tiny-28-4", "2x4", "all", "float32"), ("tiny-28-4", "1x3", "model", "float32")]
    found += [("tiny-28-4", "1x8", "model", "bfloat16"), ("tiny-14-2", "2x4", "all", "bfloat16")]
    if os.environ.get(SLOW):
        found += [("tiny-14-2", "2x4", "all", "float32"), ("tiny-28-4", "4x6", "model", "float32")]
        found += [(config.name, "8x4", "all", "float32") for config in (TINY, TIED)]
        found += [("tiny-28-4", mesh, "model", "bfloat16") for mesh in SHARDING.meshes if mesh != "1x8"]
        found += [("7b-2-layers-4k-words", mesh, "all", "float32") for mesh in ("2x4", "8x4")]
        found += [("7b-2-layers-4k-words", "1x8", "model", "bfloat16")]
    return [
        pytest.param(variant, spread, dtype, marks=pytest.mark.tt(mesh=mesh), id=f"{variant}-{mesh}-{spread}-{dtype}")
        for variant, mesh, spread, dtype in found
    ]


@pytest.mark.parametrize(("variant", "spread", "dtype"), ways())
def test_golden_in_other_ways(
    variant: str,
    spread: str,
    dtype: str,
    weights: dict[str, Any],
    tt_run: Any,
    tt_jit: Any,
    tt_golden: Any,
    any_mesh: Any,
) -> None:
    case = variant.removesuffix("-4k-words")
    golden = tt_golden.load(case, reference=lambda: REFERENCE.golden(variant))
    config = replace(CONFIGS[variant], spread=spread, dtype=dtype)
    fitted = fit(config, any_mesh)
    made = weights.get(variant) or qwen_params.synthetic_params(CONFIGS[variant])
    params = jax.tree.map(
        lambda leaf, like: leaf.astype(like.dtype, copy=False), made, MODEL.architecture.shapes(config)
    )
    forward = tt_jit(
        MODEL.architecture.forward(Qwen2(fitted)),
        in_shardings=(param_specs(fitted, any_mesh), input_specs(fitted, any_mesh)),
        out_shardings=output_specs(fitted, any_mesh),
    )
    outputs = forward(place_params(MODEL, config, any_mesh, params), golden.inputs)
    (program,) = forward.programs
    assert refused(program.stablehlo) == ()
    # The TT compiler takes one mesh a program; jax 0.12 writes the same one down twice.
    assert len(set(re.findall(r"sdy\.mesh @\w+ = (<\[.*?\]>)", program.stablehlo))) == 1
    assert program.collectives in (SHARDING.declared(fitted, any_mesh, golden.inputs, card=tt_run.runs_tt), None)
    logits = np.asarray(outputs["logits"])
    assert logits.shape[-1] == fitted.padded_vocab_size
    assert (logits[..., config.vocab_size :] == 0).all()
    bounds: dict[str, Any] = {}
    if dtype == "bfloat16":
        bounds = {"pcc": 0.999, "rel_l2": 0.05, "reason": "weights and factors rounded to bfloat16"}
    tt_golden(
        REFERENCE.select(CONFIGS[variant], {"logits": logits}), case, reference=lambda: REFERENCE.golden(variant),
        weights=digest(made), **bounds,
    )  # fmt: skip


@pytest.mark.tt(mesh=["2x4", "8x4"])
def test_one_copy_over_all_chips_compiles(tt_mesh: Any, tt_compile: Any) -> None:
    """By TT's compiler, which refuses a sum over both axes at once, and makes one collective per axis of all others."""
    found = []
    for program in programs_of(MODEL, replace(TINY, spread="all"), tt_mesh):
        made = tt_compile(program.function, *program.arguments)
        assert problems_of(program, made) == []
        found.append((program.name, made.collectives))
    assert found == [(name, {"all-gather": 2, "all-reduce": 10}) for name in ("forward", "prefill", "decode")]


@pytest.mark.tt(mesh=["1x2", "1x8", "8x4"])
@pytest.mark.parametrize("spread", ["model", "all"])
def test_bytes_per_chip_are_predicted(spread: str, weights: dict[str, Any], tt_mesh: Any) -> None:
    for config in (TINY, TIED):
        config = replace(config, spread=spread)
        held: dict[Any, int] = {}
        for leaf in jax.tree.leaves(place_params(MODEL, config, tt_mesh, weights[config.name])):
            for shard in leaf.addressable_shards:
                held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
        assert set(held.values()) == {bytes_per_chip(MODEL, config, tt_mesh)}
        assert len(held) == tt_mesh.size


def test_bytes_of_the_largest_are_those_of_its_checkpoint() -> None:
    config = CONFIGS["qwen2.5-7b"]
    one, eight = (AbstractMesh((1, chips), ("batch", "model")) for chips in (1, 8))
    norms = (2 * config.num_hidden_layers + 1) * config.hidden_size * 2  # float32 here, bfloat16 there
    assert bytes_per_chip(MODEL, config, one) == 2 * PARAMETERS["qwen2.5-7b"] + norms + 4
    assert 8 * bytes_per_chip(MODEL, config, eight) < 1.04 * 2 * PARAMETERS["qwen2.5-7b"]


@pytest.mark.skipif(not os.environ.get(SLOW), reason="takes long: set ZOO_SLOW=1, as nox's session slow does")
@pytest.mark.tt(mesh="1x8")
def test_a_step_of_the_largest(tt_mesh: Any) -> None:
    """All 28 layers compile, without weights: what is exchanged grows with the layers alone."""
    config = fit(CONFIGS["qwen2.5-7b"], tt_mesh)

    def shaped(shape: tuple[int, ...], dtype: Any, spec: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(tt_mesh, spec))

    params = jax.tree.map(
        lambda leaf, spec: shaped(leaf.shape, leaf.dtype, spec),
        MODEL.architecture.shapes(config),
        param_specs(config, tt_mesh),
    )
    part = (1, config.num_key_value_heads, 64, config.head_dim)
    cache = tuple(tuple(shaped(part, config.dtype, spec) for spec in pair) for pair in cache_specs(config))
    row = shaped((1,), np.int32, PartitionSpec("batch"))
    step = partial(Qwen2(config).apply, method="decode")
    whole = NamedSharding(tt_mesh, PartitionSpec("batch", None))
    placed = jax.tree.map(lambda part: part.sharding, cache)
    lowered = jax.jit(step, out_shardings=(whole, placed)).lower(params, row, row, cache)
    assert refused(lowered.as_text()) == ()
    text = str(lowered.compile().as_text())
    expected = collectives(config, tt_mesh, {})
    assert {kind: len(re.findall(rf" {kind}(-start)?\(", text)) for kind in KINDS} == {
        **dict.fromkeys(KINDS, 0),
        **expected,
    }
    assert expected == {"all-reduce": 57, "all-gather": 1}


@pytest.mark.tt(mesh="1x8")
def test_padding_is_zeros(weights: dict[str, Any], tt_mesh: Any) -> None:
    """Nothing is lost and nothing but zeros and copies of keys and values is added; each leaf by itself."""
    before = flatten(weights["tiny-28-4"])
    after = flatten(prepared(prepare(TINY, tt_mesh), weights["tiny-28-4"]))
    assert set(after) == set(before)
    grown = set()
    for name, leaf in after.items():
        old, copies = before[name], 2 if "/k/" in name or "/v/" in name else 1
        if leaf.shape == old.shape:
            assert leaf is old, name
            continue
        grown.add(name.split("/")[-2])
        if not name.endswith("first_row"):
            expected = np.repeat(np.sort(old[old != 0]), copies)
            np.testing.assert_array_equal(np.sort(leaf[leaf != 0]), expected, err_msg=name)
        np.testing.assert_array_equal(prepare(TINY, tt_mesh)(name, old), leaf)
    assert grown == {"q", "k", "v", "o", "gate", "up", "down", "embed", "head"}


@pytest.mark.parametrize("config", [CONFIGS["qwen2.5-7b"], TINY], ids=lambda config: config.name)
def test_angles_far_out(config: Qwen2Config) -> None:
    """The sum of two tabulated angles, against float64, up to the last position."""
    places = np.unique(np.geomspace(1, config.max_position_embeddings, 400).astype(np.int32)) - 1
    angles = places[:, None] * config.rope_theta ** (-np.arange(0, config.head_dim, 2) / config.head_dim)
    cosine, sine = rotations(
        jnp.asarray(places[None, :]),
        config.rotary,
        head_dim=config.head_dim,
        max_positions=config.max_position_embeddings,
    )
    assert places[-1] == config.max_position_embeddings - 1
    assert np.abs(np.asarray(cosine)[0] - np.cos(angles)).max() < 2.5e-7
    assert np.abs(np.asarray(sine)[0] - np.sin(angles)).max() < 2.5e-7


def test_names_of_published_checkpoints(weights: dict[str, Any]) -> None:
    """A tied head may be stored all the same, old files hold frequencies; what is unknown or missing is an error."""
    published = dict(qwen_params.synthetic_checkpoint(TIED))
    published["lm_head.weight"] = published["model.embed_tokens.weight"]
    frequencies = (1.0 / TIED.rope_theta ** (np.arange(0, 8, 2, dtype=np.float32) / 8)).astype(ml_dtypes.bfloat16)
    published["model.layers.0.self_attn.rotary_emb.inv_freq"] = frequencies
    keys, shapes = qwen_params.key_map(TIED), MODEL.architecture.shapes(TIED)
    found = flatten(convert_tensors(published, TIED, keys, shapes))
    assert {name: leaf.tobytes() for name, leaf in found.items()} == {
        name: leaf.tobytes() for name, leaf in flatten(weights["tiny-14-2"]).items()
    }
    alone = {name: tensor for name, tensor in published.items() if name != "model.embed_tokens.weight"}
    found = flatten(convert_tensors(alone, TIED, keys, shapes))
    np.testing.assert_array_equal(found["params/embed/embedding"], published["lm_head.weight"])
    other = published["lm_head.weight"].copy()
    other[-1, -1] += 1
    base = 1.0 / 10000.0 ** (np.arange(0, 8, 2) / 8)
    wrong = {"lm_head.weight": other, "model.layers.0.self_attn.rotary_emb.inv_freq": base.astype(np.float32)}
    with pytest.raises(CheckpointError, match="holds tensors that the model would not use") as error:
        convert_tensors({**published, **wrong}, TIED, keys, shapes)
    assert "lm_head.weight (the model uses model.embed_tokens.weight in its place, and they differ)" in str(error.value)
    assert "inv_freq (float32 (4,), not what the model has there: frequencies of the" in str(error.value)
    del published["model.layers.1.mlp.up_proj.weight"]
    published["model.layers.1.self_attn.o_proj.bias"] = np.zeros(112, np.float32)
    with pytest.raises(CheckpointError, match=r"o_proj\.bias") as error:
        convert_tensors(published, TIED, keys, shapes)
    assert "layers_1/mlp/up/weight" in str(error.value)
    headless = [
        (name, tensor) for name, tensor in qwen_params.synthetic_checkpoint(TINY) if not name.startswith("lm_head")
    ]
    with pytest.raises(CheckpointError, match="head/weight"):
        convert_tensors(headless, TINY, qwen_params.key_map(TINY), MODEL.architecture.shapes(TINY))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dtype": "float16"}, "tiny-28-4: dtype is 'float16': expected one of bfloat16, float32"),
        ({"spread": "rows"}, "tiny-28-4: spread is 'rows': expected one of model, all"),
        ({"num_key_value_heads": 5}, "28 heads of 8 for 5 of keys and values"),
        ({"head_dim": 7}, "28 heads of 7"),
    ],
)
def test_configs_that_mean_nothing(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        replace(TINY, **change)
