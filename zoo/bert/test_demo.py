"""``python -m zoo run bert``: masks filled in by a made-up checkpoint, sentences compared by the real MiniLM."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from zoo.__main__ import main
from zoo.bert import params
from zoo.bert.model import TINY, Bert, forward
from zoo.bert.sentence_transformers import check_pooling
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.registry import SLOW
from zoo.text.wordpiece import from_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##s", ".", ",", *(f"w{n}" for n in range(202))]
"""As many tokens as the tiny variant has."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, params.synthetic_checkpoint(TINY), config=params.hub_config(TINY))
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Lines that the command prints."""

    def call(*arguments: str | Path) -> list[str]:
        assert main(["run", *map(str, arguments)]) == 0
        return capsys.readouterr().out.splitlines()

    return call


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The line with which the command refuses."""

    def call(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["run", *map(str, arguments)])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


def likely(ids: list[int]) -> np.ndarray:
    """Probabilities [tokens, vocabulary] on the host, of one sentence without padding."""
    row = np.array([ids], np.int32)
    inputs = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
    with jax.default_device(jax.devices("cpu")[0]):
        logits = jax.jit(forward(Bert(TINY)))(params.golden_params(TINY), inputs)["logits"]
        return np.asarray(jax.nn.softmax(logits[0]))


@pytest.mark.tt(mesh=["1x1", "1x8", "2x4"] if os.environ.get(SLOW) else ["2x4"])
def test_masks(run: Callable[..., list[str]], directory: Path, tt_run: Any) -> None:
    """Three sentences, which 2x4 does not divide, with one [MASK] or two; one kind of tokenizer or the other."""
    if tt_run.mesh.rows > 1:
        from_vocabulary(str(directory / "vocab.txt")).save(str(directory / "tokenizer.json"))
        (directory / "vocab.txt").unlink()
    sentences = ["the W3s [MASK] w8, w19", "[MASK] w5 w7 [MASK] .", "w1 [MASK]"]
    given = ["--checkpoint", directory, "--mesh", tt_run.mesh, "--top", "2"]
    found = run("bert", *sentences, *given)
    assert found[0] == sentences[0]
    assert found[5] == sentences[1]
    number = WORDS.index
    ids = [2, 5, number("w3"), 6, 4, number("w8"), 8, number("w19"), 3]
    chances = likely(ids)[4]
    if tt_run.backend == "sim":
        for line, token in zip(found[1:3], np.argsort(-chances)[:2], strict=True):
            word, share, sign = line.split()
            assert (word, sign) == (WORDS[token], "%")
            assert float(share) == pytest.approx(100 * chances[token], abs=0.006)
        best = WORDS[int(chances.argmax())]
        assert found[3] == f"  = the w3s {best} w8, w19"
        chances = likely([2, 4, number("w5"), number("w7"), 4, 7, 3])
        first, last = (WORDS[int(chances[place].argmax())] for place in (1, 4))
        assert found[6].split() == ["[MASK]", "1", "[MASK]", "2"]
        assert found[7].split()[::3] == [first, last]
        assert found[9] == f"  = {first} w5 w7 {last}."
    rows = dict(line.split(maxsplit=1) for line in found[-8:])
    assert rows["model"] == "bert, tiny"
    assert rows["run"].endswith("(median; 3 sentences of up to 16 tokens)")


@pytest.mark.tt(mesh=["1x1", "1x2"] if os.environ.get(SLOW) else ["1x2"])
def test_meaning(run: Callable[..., list[str]], tt_run: Any) -> None:
    """The sentences that are there by default: two of each kind, which find each other."""
    try:
        package = params.package_folder()
    except params.PackageMissingError as error:
        pytest.skip(str(error))
    found = run("all-MiniLM-L6-v2", "--mesh", tt_run.mesh)
    assert found[0].split() == ["sentence", "nearest", "similarity"]
    lines = [line.split() for line in found[1:7]]
    assert [line[0] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    assert [line[-2] for line in lines] == ["4", "5", "6", "1", "2", "3"]
    assert all(0.5 < float(line[-1]) < 0.9 for line in lines)
    matrix = np.array([line.split()[1:] for line in found[11:17]], float)
    assert matrix.shape == (6, 6)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix), 1.0, atol=0.02)
    assert f"weights     {package}" in found
    two = run("bert", "--checkpoint", package, "Good morning.", "Hello there!", "--mesh", tt_run.mesh)
    assert "model       bert, all-MiniLM-L6-v2" in two


@pytest.mark.tt
def test_encoder_alone_of_a_size_with_a_head(
    run: Callable[..., list[str]], refusal: Callable[..., str], directory: Path
) -> None:
    """BertModel.save_pretrained leaves the head out: sentences are compared then."""
    save_checkpoint(directory, params.synthetic_checkpoint(replace(TINY, masked_lm=False)))
    assert run("bert", "w1 w2", "w3 w4", "--checkpoint", directory)[0].split() == ["sentence", "nearest", "similarity"]
    many = run("bert", *(f"w{n}" for n in range(13)), "--checkpoint", directory)
    assert len(many) == 1 + 13 + 1 + 8
    told = refusal("bert", "w1 [MASK]", "w2", "--checkpoint", directory)
    assert told.endswith("tiny: the checkpoint has no masked language model head to fill in [MASK]")
    assert "one sentence: give two or more" in refusal("bert", "w1", "--checkpoint", directory)


@pytest.mark.tt
def test_sentences_whose_vectors_are_made_otherwise(
    run: Callable[..., list[str]], refusal: Callable[..., str], directory: Path
) -> None:
    """By what sentence-transformers writes beside the weights: the first token's, a layer more, a prompt before."""
    save_checkpoint(directory, params.synthetic_checkpoint(replace(TINY, masked_lm=False)))
    pooling = directory / "1_Pooling" / "config.json"
    pooling.parent.mkdir()

    def write(mode: Any, *more: str) -> None:
        kinds = ("Transformer", "Pooling", *more)
        modules = [{"idx": at, "path": "1_Pooling", "type": f"sentence_transformers.models.{kind}"} for at, kind in
                   enumerate(kinds)]  # fmt: skip
        (directory / "modules.json").write_text(json.dumps(modules))
        pooling.write_text(json.dumps({"word_embedding_dimension": 48, **mode}))

    given = ("w1 w2", "w3 w4", "--checkpoint", directory)
    mean = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    write({"pooling_mode": "mean", "include_prompt": True})
    check_pooling(directory)
    write(mean, "Normalize")
    assert run("bert", *given)[0].split() == ["sentence", "nearest", "similarity"]
    for mode, text in (
        (
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
            "pooling_mode_cls_token is True, and",
        ),
        ({**mean, "pooling_mode_max_tokens": True}, "pooling_mode_max_tokens is True, and only the mean of all tokens"),
        ({"pooling_mode": "cls"}, "pooling_mode is 'cls', and only the mean of all tokens is computed here"),
        ({}, "does not ask for the mean of all tokens"),
    ):
        write(mode)
        assert text in refusal("bert", *given)
    write(mean, "Dense")
    assert "modules.json: has Dense, and only Transformer, Pooling, Normalize are" in refusal("bert", *given)
    write(mean)
    pooling.unlink()
    assert "1_Pooling/config.json: no such file; it says how" in refusal("bert", *given)
    write(mean)
    (directory / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}')
    assert "default_prompt_name is 'query', and no prompt is put before" in refusal("bert", *given)
    (directory / "config_sentence_transformers.json").write_text('{"default_prompt_name": null}')
    (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 5}')
    told = refusal("bert", "w1 w2", "w1 w2 w3 w4", "--checkpoint", directory)
    assert "sentence 2 has 6 tokens, and the checkpoint's sentence_bert_config.json cuts them at 5: shorten it" in told
    (directory / "modules.json").write_text("{}")
    assert "modules.json: is not what sentence-transformers writes" in refusal("bert", *given)


@pytest.mark.tt
def test_what_is_refused(refusal: Callable[..., str], directory: Path) -> None:
    given = ("--checkpoint", directory)
    told = refusal("bert", "w1 [MASK]", "w2 w3", *given)
    assert "'w2 w3' has no [MASK]: write [MASK] for each word to fill in" in told
    assert "sentence 2 is empty" in refusal("bert", "w1 [MASK]", "  ", *given)
    told = refusal("bert", "[MASK]", "w1 " * 39 + "[MASK]", *given)
    assert "sentence 2 has more than the 40 tokens that tiny takes: shorten it" in told
    assert "argument --top: '0'" in refusal("bert", "[MASK]", "--top", "0", *given)
    assert "--top 212: there are 211 tokens" in refusal("bert", "[MASK]", "--top", "212", *given)
    (directory / "vocab.txt").write_text("\n".join([*WORDS, "beyond"]) + "\n")
    told = refusal("bert", "beyond [MASK]", *given)
    assert "its tokenizer gives token 211, the weights have 0 to 210" in told
    (directory / "vocab.txt").write_text("\n".join(WORDS[:4] + WORDS[5:]) + "\n")
    assert "vocab.txt: not a tokenizer (its vocabulary lacks [MASK])" in refusal("bert", "[MASK]", *given)
    (directory / "vocab.txt").unlink()
    assert f"{directory}: has no tokenizer; expected tokenizer.json, or vocab.txt" in refusal("bert", "[MASK]", *given)
