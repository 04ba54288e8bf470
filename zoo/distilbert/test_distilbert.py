"""DistilBERT beside the contract test: padding is exact, checkpoints as transformers saves them, the demo."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from pytest_tt.compare import Bounds, compare, flatten
from pytest_tt.tt_compiler.upstream import refused
from zoo.__main__ import main
from zoo.checkpoints.loading import convert_tensors, load_checkpoint, on_host
from zoo.checkpoints.placement import place_params, prepared
from zoo.checkpoints.tensor_files import CheckpointError, save_checkpoint
from zoo.distilbert import params, reference, sharding
from zoo.distilbert.model import BASE, TINY, DistilBert, forward
from zoo.distilbert.registration import MODEL
from zoo.layers.masks import MASKED

if TYPE_CHECKING:
    from pathlib import Path

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *(f"w{n}" for n in range(TINY.vocab_size - 6))]
"""As many tokens as the tiny variant has."""


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    return params.synthetic_params(TINY)


run_tiny = jax.jit(forward(DistilBert(TINY)))


def on_cpu(weights: Any, inputs: Any) -> dict[str, np.ndarray]:
    with jax.default_device(jax.devices("cpu")[0]):
        outputs = run_tiny(weights, dict(inputs))
    return {name: np.asarray(value) for name, value in outputs.items()}


def padded(ids: list[int], padding: int = 0) -> dict[str, np.ndarray]:
    """Inputs of one shape for all tests, which is compiled once: row 0 is `ids`, all else `padding`."""
    inputs = {"input_ids": np.full((8, 16), padding, np.int32), "attention_mask": np.zeros((8, 16), np.int32)}
    inputs["input_ids"][0, : len(ids)] = ids
    inputs["attention_mask"][0, : len(ids)] = 1
    return inputs


@pytest.mark.tt(mesh="1x7")
def test_any_number_of_chips(any_mesh: Any, tt_jit: Any, tt_golden: Any, tiny: Any) -> None:
    """Neither heads nor inner units nor vocabulary are a multiple of 7."""
    config = MODEL.sharding.fit(TINY, any_mesh)
    golden = tt_golden.load("tiny", reference=MODEL.goldens["tiny"].reference)
    run = tt_jit(forward(DistilBert(config)), out_shardings=sharding.output_specs(config, any_mesh))
    outputs = run(place_params(MODEL, TINY, any_mesh, tiny), dict(golden.inputs))
    (program,) = run.programs
    assert refused(program.stablehlo) == ()
    beyond = np.asarray(outputs["logits"])[..., TINY.vocab_size :]
    assert beyond.shape[-1] == config.vocab_padding > 0
    assert (beyond < -1e8).all()  # never chosen, and of probability 0
    tt_golden(reference.select(TINY, outputs), "tiny", reference=MODEL.goldens["tiny"].reference, weights=tiny)


def test_padding_adds_exactly_nothing(tiny: Any) -> None:
    """The parameters stay as they are inside; outside are zeros, and biases that rule out the padding."""
    mesh: Any = AbstractMesh((1, 8), ("batch", "model"))
    fitted = sharding.fit(TINY, mesh)
    assert (fitted.num_attention_heads, fitted.intermediate_size, fitted.vocab_size + fitted.vocab_padding) == (
        8,
        56,
        104,
    )
    assert sharding.fit(BASE, mesh).num_attention_heads == 16
    grown = flatten(prepared(sharding.prepare(TINY, mesh), tiny))
    before = flatten(tiny)
    assert before.pop("params/word/first_row").tolist() == [0]
    assert grown["params/word/first_row"].tolist() == [0, 13, 26, 39, 52, 65, 78, 91]
    for name, value in before.items():
        inside = tuple(slice(size) for size in value.shape)
        np.testing.assert_array_equal(grown[name][inside], value, err_msg=name)
        outside = np.ones(grown[name].shape, bool)
        outside[inside] = False
        filling = MASKED if name == "params/decoder/bias" else 0.0
        assert (grown[name][outside] == filling).all(), name


def test_padding_does_not_count(tiny: Any) -> None:
    """What a sentence gives does not depend on what stands in the padding; a row of only padding does no harm."""
    found, other = (on_cpu(tiny, padded(list(range(7, 19)), padding)) for padding in (0, 55))
    assert all(np.isfinite(value).all() for value in other.values())
    for name, value in found.items():
        np.testing.assert_array_equal(value[0, :12], other[name][0, :12], err_msg=name)
        assert (value[0, 12:] != other[name][0, 12:]).any()


def test_wrong_inputs(tiny: Any) -> None:
    assert np.isnan(on_cpu(tiny, padded([5, TINY.vocab_size]))["logits"][0]).any()
    ids = np.zeros((1, 33), np.int32)
    with pytest.raises(ValueError, match="33 tokens, but tiny knows 32 positions"):
        on_cpu(tiny, {"input_ids": ids, "attention_mask": ids})


def test_bfloat16(tiny: Any, tt_golden: Any) -> None:
    """Parameters in bfloat16 make a program in bfloat16."""
    golden = tt_golden.load("tiny", reference=MODEL.goldens["tiny"].reference)
    with jax.default_device(jax.devices("cpu")[0]):
        weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), tiny)
    outputs = on_cpu(weights, golden.inputs)
    assert {value.dtype.name for value in outputs.values()} == {"bfloat16"}
    verdict = compare(reference.select(TINY, outputs), golden.outputs, backend="hw", bounds=Bounds(pcc=0.999))
    assert verdict.passed, verdict.text()


@needs_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False}, {"sinusoidal_pos_embds": True}], ids=str)
def test_as_transformers_saves_it(changes: dict[str, bool], tmp_path: Path) -> None:
    """DistilBertForMaskedLM.save_pretrained and what PyTorch gives for it, with either kind of positions.

    A head of its own is refused.
    """
    import torch
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    facts = {name: value for name, value in params.hub_config(TINY).items() if name != "architectures"}
    torch.manual_seed(0)
    theirs = DistilBertForMaskedLM(DistilBertConfig(**facts, **changes)).eval()
    with torch.no_grad():
        theirs.vocab_projector.bias.uniform_(-1.0, 1.0)
    theirs.save_pretrained(tmp_path)
    if not changes.get("tie_word_embeddings", True):
        with pytest.raises(CheckpointError, match=r"vocab_projector\.weight"):
            load_checkpoint(tmp_path, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY), on_host)
        return
    weights = load_checkpoint(tmp_path, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY), on_host)
    inputs = MODEL.architecture.example(TINY)
    with torch.no_grad():
        logits = theirs(**{name: torch.from_numpy(value).long() for name, value in inputs.items()}).logits
    verdict = compare({"logits": on_cpu(weights, inputs)["logits"]}, {"logits": logits.numpy()})
    assert verdict.passed, verdict.text()


def test_checkpoint_without_a_head() -> None:
    """DistilBertModel is saved so; everything that is missing is named."""
    encoder = {
        name.removeprefix("distilbert."): tensor
        for name, tensor in params.synthetic_checkpoint(TINY)
        if not name.startswith("vocab_")
    }
    with pytest.raises(CheckpointError, match=r"no tensor fills: params/decoder/bias, params/transform/bias, "):
        convert_tensors(encoder, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY))


@pytest.mark.tt(mesh="1x2")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Any, tt_run: Any) -> None:
    """The likeliest words for a [MASK], of a made-up checkpoint."""
    save_checkpoint(tmp_path, params.synthetic_checkpoint(TINY), config=params.hub_config(TINY))
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    given = ["w7 [MASK] w5.", "--checkpoint", str(tmp_path), "--mesh", "1x2", "--top", "2"]
    assert main(["run", "distilbert", *given]) == 0
    found = capsys.readouterr().out.splitlines()
    logits = on_cpu(tiny, padded([2, WORDS.index("w7"), 4, WORDS.index("w5"), 5, 3]))["logits"][0, 2]
    if tt_run.backend == "sim":
        best = [WORDS[token] for token in np.argsort(-logits)[:2]]
        assert [line.split()[0] for line in found[1:3]] == best
        assert found[3] == f"  = w7 {best[0]} w5."
    assert "model       distilbert, tiny" in found
