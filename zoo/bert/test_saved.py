"""Checkpoints of BERT as they are saved: without a pooler, with the decoder and without, with one of its own."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from pytest_tt.compare import compare, flatten
from zoo.bert import params, sharding
from zoo.bert.model import TINY, Bert, forward
from zoo.bert.registration import MODEL
from zoo.checkpoints.loading import convert_tensors, load_checkpoint, on_host
from zoo.checkpoints.placement import load_params
from zoo.checkpoints.synthetic import uniform
from zoo.checkpoints.tensor_files import CheckpointError, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

TENSORS = dict(params.synthetic_checkpoint(TINY))
WORDS = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"


def converted(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    return convert_tensors(tensors, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY))


def outputs(weights: Any) -> dict[str, np.ndarray]:
    """On the host."""
    with jax.default_device(jax.devices("cpu")[0]):
        found = jax.jit(forward(Bert(TINY)))(weights, dict(MODEL.architecture.example(TINY)))
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.tt(mesh=["1x1", "1x8"])
def test_without_a_pooler(tmp_path: Path, tt_mesh: Any, tt_jit: Any, tt_run: Any) -> None:
    """As BertForMaskedLM is saved: everything but the pooled output is there."""
    save_checkpoint(tmp_path, ((name, tensor) for name, tensor in TENSORS.items() if "pooler" not in name))
    loaded = load_params(MODEL, TINY.name, tt_mesh, tmp_path)
    assert "pooler" not in loaded["params"]
    found = tt_jit(forward(Bert(sharding.fit(TINY, tt_mesh))))(loaded, dict(MODEL.architecture.example(TINY)))
    expected = outputs(converted(TENSORS))
    assert set(expected) - set(found) == {"pooled"}
    del expected["pooled"]
    actual = {name: np.asarray(value) for name, value in found.items()}
    actual["logits"] = actual["logits"][..., : TINY.vocab_size]
    verdict = compare(actual, expected, backend=tt_run.backend)
    assert verdict.passed, verdict.text()


def test_half_a_pooler() -> None:
    tensors = {name: tensor for name, tensor in TENSORS.items() if name != "bert.pooler.dense.bias"}
    with pytest.raises(CheckpointError, match=r"parameters that no tensor fills: params/pooler/bias$"):
        converted(tensors)


def test_decoder_tied_to_the_words() -> None:
    """Stored once more it changes nothing, stored alone it stands for both; its own bias counts."""
    tied, bias = flatten(converted(TENSORS)), uniform("decoder/bias", (TINY.vocab_size,))
    again = {**TENSORS, DECODER: TENSORS[WORDS], "cls.predictions.decoder.bias": bias}
    alone = {name: tensor for name, tensor in again.items() if name != WORDS}
    for tensors in (again, alone):
        found = flatten(converted(tensors))
        np.testing.assert_array_equal(found.pop("params/decoder/bias"), bias)
        for name, leaf in found.items():
            np.testing.assert_array_equal(leaf, tied[name], err_msg=name)


@pytest.mark.parametrize("width", [TINY.hidden_size, TINY.hidden_size + 1])
def test_decoder_of_its_own(width: int) -> None:
    """Of other values, or of another size."""
    with pytest.raises(CheckpointError, match=r"cls\.predictions\.decoder\.weight"):
        converted({**TENSORS, DECODER: uniform("decoder", (TINY.vocab_size, width))})


@needs_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("tied", [True, False])
def test_as_transformers_saves_it(tied: bool, tmp_path: Path) -> None:
    """BertForMaskedLM.save_pretrained and what PyTorch gives for it; with a decoder of its own it is refused."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    facts = {name: value for name, value in params.hub_config(TINY).items() if name != "architectures"}
    torch.manual_seed(0)
    theirs = BertForMaskedLM(BertConfig(**facts, tie_word_embeddings=tied)).eval()
    with torch.no_grad():
        theirs.cls.predictions.decoder.bias.uniform_(-1.0, 1.0)
    theirs.save_pretrained(tmp_path)
    if not tied:
        with pytest.raises(CheckpointError, match=r"cls\.predictions\.decoder\.weight"):
            load_checkpoint(tmp_path, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY), on_host)
        return
    weights = load_checkpoint(tmp_path, TINY, params.key_map(TINY), MODEL.architecture.shapes(TINY), on_host)
    inputs = MODEL.architecture.example(TINY)
    with torch.no_grad():
        expected = theirs(**{name: torch.from_numpy(value).long() for name, value in inputs.items()}).logits.numpy()
    found = outputs(weights)
    assert "pooled" not in found
    verdict = compare({"logits": found["logits"]}, {"logits": expected})
    assert verdict.passed, verdict.text()
