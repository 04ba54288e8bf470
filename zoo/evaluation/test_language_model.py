"""Texts continued and scored in batches and buckets, against what transformers gave for the models' goldens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tt.golden import load
from pytest_tt.tt_compiler.upstream import refused
from zoo import registry
from zoo.checkpoints.placement import place_params
from zoo.evaluation.language_model import LanguageModel, bucket
from zoo.references.huggingface import NEAR_TIE

if TYPE_CHECKING:
    from collections.abc import Sequence

# All of them in nox's session evaluation.
MESHES = ["1x1", "1x8", "2x4"] if os.environ.get(registry.SLOW) else ["1x8"]
GPT2_MESHES = ["1x2", "2x4"] if os.environ.get(registry.SLOW) else ["2x4"]


def golden_of(name: str, case: str) -> Any:
    return load(registry.model(name).golden_path(case))


def make(name: str, variant: str, mesh: Any, jit: Any, rows: int) -> LanguageModel:
    model = registry.model(name)
    config = model.config(variant)
    case = next(name for name, case in model.goldens.items() if case.variant == variant)
    params = place_params(model, config, mesh, model.weights_of(case))
    return LanguageModel(model, config, params, mesh, rows=rows, jit=jit)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def tolerance_of(run: Any) -> float:
    """How far a token's logarithm may be from that of transformers."""
    return 2e-5 if run.backend == "sim" else 0.1


def margins(logs: np.ndarray) -> np.ndarray:
    """By how much the likeliest token is ahead of the next one, [...] of `logs` [..., tokens]."""
    best = np.sort(logs, axis=-1)
    return np.asarray(best[..., -1] - best[..., -2])


@pytest.mark.parametrize("length", [1, 32, 33, 48, 49, 64, 65, 96, 97, 1000, 1500, 32768])
def test_buckets_waste_at_most_half(length: int) -> None:
    size = bucket(length)
    assert size in [32 << power for power in range(11)] + [48 << power for power in range(11)]
    assert length <= size
    assert size == 32 or 2 * size < 3 * length


@pytest.mark.parametrize("name", ["mlp", "cnn", "bert", "resnet"])
def test_others_write_no_text(name: str) -> None:
    model = registry.model(name)
    assert model.decoder is None
    with pytest.raises(ValueError, match=f"{name} writes no text"):
        LanguageModel(model, None, None, None)  # type: ignore[arg-type] # it comes to none of them


@pytest.mark.tt(mesh=MESHES, model="qwen2_5", variant="tiny-28-4")
def test_continues_as_transformers_does(tt_run: Any, tt_mesh: Any, tt_jit: Any) -> None:
    from zoo.qwen2_5.reference import REFERENCE
    from zoo.references.decoder import NEW_TOKENS

    model = make("qwen2_5", "tiny-28-4", tt_mesh, tt_jit, rows=2)
    golden = golden_of("qwen2_5", "generation-28-4")
    given, stops = REFERENCE.prompts(model.config), set(golden.inputs["stops"].tolist())
    never = dict(model.continued(given, NEW_TOKENS, ended=lambda number, tokens: False))
    greedy = np.array([never[number] for number in range(len(given))])
    # On chips a row may go its own way once rounding has decided.
    apart = 0 if tt_run.backend == "sim" else NEAR_TIE
    sure = np.logical_and.accumulate(golden.inputs["margins"] > apart, axis=1)
    assert sure.all() or apart
    np.testing.assert_array_equal(greedy[sure], golden.outputs["greedy"][sure])

    def until_stop(row: Sequence[int]) -> list[int]:
        return list(row[: next((at for at, token in enumerate(row) if token in stops), len(row))])

    stopped = dict(model.continued(given, NEW_TOKENS, ended=lambda number, tokens: False, stops=stops))
    assert stopped == {number: until_stop(row) for number, row in never.items()}
    short = dict(model.continued(given, NEW_TOKENS, ended=lambda number, tokens: len(tokens) == 1 + number))
    assert short == {number: row[: 1 + number] for number, row in never.items()}
    assert model.programs == 2  # three batches of up to two prompts, three times
    assert model.written == sum(len(row) for found in (never, stopped, short) for row in found.values())


@pytest.mark.tt(mesh=MESHES, model="qwen2_5", variant="tiny-28-4")
def test_scores_as_transformers_does(tt_run: Any, tt_mesh: Any, tt_jit: Any) -> None:
    from zoo.references.decoder import GIVEN, TEXT

    model = make("qwen2_5", "tiny-28-4", tt_mesh, tt_jit, rows=3)
    golden = golden_of("qwen2_5", "text")
    tokens = golden.inputs["tokens"]
    expected = log_softmax(golden.outputs["logits"])
    lengths = [TEXT, GIVEN + 5, TEXT - 3, GIVEN + 1]  # ragged, in two batches
    texts = [tokens[row, :length].tolist() for row, length in enumerate(lengths)]
    found = {number: (logs, likeliest) for number, logs, likeliest in model.scored(texts)}
    assert sorted(found) == [0, 1, 2, 3]
    away, greedy = tolerance_of(tt_run), 0
    for row, length in enumerate(lengths):
        logs, likeliest = found[row]
        assert len(logs) == len(likeliest) == length - 1
        after = expected[row, : length - GIVEN]
        next_tokens = tokens[row, GIVEN:length]
        of_next = np.take_along_axis(after, next_tokens[:, None], axis=-1)[:, 0]
        np.testing.assert_allclose(logs[GIVEN - 1 :], of_next, rtol=away, atol=away)
        sure = margins(after) > 2 * away
        np.testing.assert_array_equal(likeliest[GIVEN - 1 :][sure], (after.argmax(axis=-1) == next_tokens)[sure])
        greedy += int(likeliest.sum())

    best = [[*text, int(expected[row, len(text) - GIVEN].argmax())] for row, text in enumerate(texts)]
    assert all(likeliest[-1] for _, _, likeliest in model.scored(best))
    assert greedy < 40  # of made-up texts by far not every token is the likeliest


@pytest.mark.tt(mesh=GPT2_MESHES, model="gpt2", variant="tiny")
def test_gpt2_is_scored_and_continued_too(tt_run: Any, tt_mesh: Any, tt_jit: Any) -> None:
    model = make("gpt2", "tiny", tt_mesh, tt_jit, rows=3)
    golden = golden_of("gpt2", "tiny")
    mask = golden.inputs["attention_mask"] != 0
    row = int(np.flatnonzero(mask.all(axis=1))[0])  # its tokens have the positions 0, 1, 2 …
    text = golden.inputs["input_ids"][row].tolist()
    begin = int(mask[:row].sum())
    expected = log_softmax(golden.outputs["logits"][begin : begin + len(text)])
    ((_, logs, likeliest),) = model.scored([text])
    away = tolerance_of(tt_run)
    np.testing.assert_allclose(logs, expected[np.arange(len(text) - 1), text[1:]], rtol=away, atol=away)
    sure = margins(expected) > 2 * away
    np.testing.assert_array_equal(likeliest[sure[:-1]], (expected[:-1].argmax(axis=-1) == text[1:])[sure[:-1]])
    ((_, tokens),) = model.continued([text], 1, ended=lambda number, tokens: False)
    assert tokens == [int(expected[-1].argmax())] or not sure[-1]


@pytest.mark.tt(mesh="1x8", model="qwen2_5", variant="tiny-28-4")
def test_programs_are_for_the_chip(tt_mesh: Any, tt_jit: Any) -> None:
    model = make("qwen2_5", "tiny-28-4", tt_mesh, tt_jit, rows=2)
    list(model.scored([[1, 2, 3], [4, 5]]))
    list(model.scored([[7] * 30, [4, 5], [1, 2, 3]]))
    (program,) = model._score.programs  # lengths within a bucket share it
    assert model.programs == 1
    assert refused(program.stablehlo) == ()
    layers = model.config.num_hidden_layers
    assert program.collectives == {"all-reduce": 2 * layers + 1, "all-gather": 1}


@pytest.mark.tt(mesh="1x1", model="qwen2_5", variant="tiny-28-4")
def test_what_does_not_fit(tt_mesh: Any, tt_jit: Any) -> None:
    model = make("qwen2_5", "tiny-28-4", tt_mesh, tt_jit, rows=2)
    with pytest.raises(ValueError, match="a text of 66 tokens: expected 2 to 65"):
        next(model.scored([[1, 2], [1] * 66]))
    with pytest.raises(ValueError, match="a text of 1 tokens: expected 2 to 65"):
        next(model.scored([[1]]))
    with pytest.raises(ValueError, match="a prompt of 60 tokens and 6 new ones need more than 64 slots"):
        next(model.continued([[1] * 60], 6, ended=lambda number, tokens: False))
    assert len(next(model.continued([[1] * 60], 5, ended=lambda number, tokens: False))[1]) == 5
