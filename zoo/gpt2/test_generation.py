"""Generation on the chips: token for token what transformers gives, for prompts of different lengths at once."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from pytest_tt.compare import compare
from pytest_tt.tt_compiler.upstream import refused
from zoo.checkpoints.placement import prepared
from zoo.gpt2 import params as gpt2_params
from zoo.gpt2.model import GPT2, TINY
from zoo.gpt2.reference import NEW_TOKENS, SAMPLINGS, generation, prompts
from zoo.gpt2.sharding import collectives, decoder, fit, prepare
from zoo.references.huggingface import NEAR_TIE
from zoo.registry import SLOW
from zoo.text.generation import Generator
from zoo.text.sampling import Sampling, draw, probabilities

PROMPT_SLOTS, SLOTS = 12, 40


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    return gpt2_params.synthetic_params(TINY)


def make(weights: dict[str, Any], mesh: Any, jit: Any) -> Generator:
    params = prepared(prepare(TINY, mesh), weights)
    return Generator(decoder(TINY, mesh), params, mesh, prompt_slots=PROMPT_SLOTS, slots=SLOTS, jit=jit)


@pytest.mark.tt(mesh=["1x1", "1x2", "1x8", "2x4"] if os.environ.get(SLOW) else ["1x2", "2x4"])
def test_equals_transformers_token_for_token(
    weights: dict[str, Any], tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any
) -> None:
    golden = tt_golden.load("generation", reference=generation)
    generator = make(weights, tt_mesh, tt_jit)
    stop = int(golden.inputs["stop"][0])
    outputs = {
        "greedy": generator(prompts(), NEW_TOKENS),
        "stopped": generator(prompts(), NEW_TOKENS, stop=stop),
    }
    drawn = [generator(prompts(), NEW_TOKENS, sampling=Sampling(top_p=0.9, seed=seed)) for seed in (1, 1, 2)]
    of_one = generator(prompts(), NEW_TOKENS, sampling=Sampling(temperature=3.0, top_k=1))
    if tt_run.backend == "sim":
        filtered = {f"probabilities/{n}": golden.outputs[f"probabilities/{n}"] for n in range(len(SAMPLINGS))}
        tt_golden({**outputs, **filtered}, "generation", reference=generation, weights=weights)
        np.testing.assert_array_equal(of_one, outputs["greedy"])
        np.testing.assert_array_equal(drawn[0], drawn[1])
        assert (drawn[0] != drawn[2]).mean() > 0.3
    else:  # a row may go its own way once rounding has decided
        sure = np.logical_and.accumulate(golden.inputs["margins"] > NEAR_TIE, axis=1)
        np.testing.assert_array_equal(outputs["greedy"][sure], golden.outputs["greedy"][sure])

    # One program each, whatever the step, the rows still running and the way to choose.
    (prefill,), (decode,) = generator.prefill.programs, generator.decode.programs
    for program in (prefill, decode):
        assert refused(program.stablehlo) == ()
        assert "dynamic_slice" not in program.stablehlo
        assert program.collectives in (collectives(TINY, tt_mesh, {}), None)


@pytest.mark.tt(mesh="2x4")
def test_cache_gives_what_the_whole_row_gives(weights: dict[str, Any], tt_mesh: Any, tt_jit: Any, tt_run: Any) -> None:
    """Logits step by step, at prompts up to the last slot, against one pass over each row without a cache."""
    rows = [[(7 * row + 11 * place) % TINY.vocab_size for place in range(SLOTS)] for row in range(4)]
    lengths = np.array([12, 1, 5, 8], np.int32)
    generator = make(weights, tt_mesh, tt_jit)
    tokens = np.array(rows, np.int32)
    given = np.where(np.arange(PROMPT_SLOTS) < lengths[:, None], tokens[:, :PROMPT_SLOTS], TINY.vocab_size - 1)

    positions = lengths - 1
    logits, cache = generator.prefill(generator.params, given.astype(np.int32), positions)
    steps = [np.asarray(logits)]
    for _ in range(SLOTS - PROMPT_SLOTS):
        positions = positions + 1
        logits, cache = generator.decode(generator.params, tokens[np.arange(4), positions], positions, cache)
        steps.append(np.asarray(logits))

    places = np.broadcast_to(np.arange(SLOTS, dtype=np.int32), tokens.shape)
    whole = tt_jit(GPT2(fit(TINY, tt_mesh)).apply)(generator.params, tokens, np.ones_like(tokens), places)
    wanted = np.asarray(whole)[np.arange(4)[:, None], lengths[:, None] - 1 + np.arange(len(steps))]
    actual, expected = np.stack(steps, axis=1)[..., : TINY.vocab_size], wanted[..., : TINY.vocab_size]
    verdict = compare({"logits": actual}, {"logits": expected}, backend=tt_run.backend)
    assert verdict.passed, verdict.text()


@pytest.mark.tt(mesh="1x2")
def test_rows_do_not_touch_each_other(weights: dict[str, Any], tt_mesh: Any, tt_jit: Any) -> None:
    generator = make(weights, tt_mesh, tt_jit)
    together = generator(prompts(), 6)
    np.testing.assert_array_equal(generator(prompts()[::-1], 6), together[::-1])
    for row, prompt in enumerate(prompts()):
        np.testing.assert_array_equal(generator([prompt] * 5, 6), np.repeat(together[[row]], 5, axis=0))
    # To the last slot; the last token needs none, as nothing follows it.
    assert generator([[1, 2]] * 5, SLOTS - 1).shape == (5, SLOTS - 1)


@pytest.mark.tt
def test_what_does_not_fit(weights: dict[str, Any], tt_mesh: Any) -> None:
    generator = make(weights, tt_mesh, lambda function, **options: function)
    for wrong, new_tokens, text in (
        ([], 1, "0 prompts"),
        ([[1]], 0, "0 new tokens"),
        ([[1], []], 1, "prompt 1 has 0 tokens: expected 1 to 12"),
        ([[1] * 13], 1, "prompt 0 has 13 tokens"),
        ([[1, 2]], SLOTS, "need more than 40 slots"),
        ([[1, 97]], 1, "token 97: expected 0 to 96"),
        ([[-1]], 1, "token -1"),
    ):
        with pytest.raises(ValueError, match=text):
            generator(wrong, new_tokens)
    for prompt_slots, slots in ((0, 4), (5, 4), (4, TINY.max_position_embeddings + 1)):
        with pytest.raises(ValueError, match="expected 1 <= prompt_slots <= slots <= the 48 positions"):
            Generator(decoder(TINY, tt_mesh), weights, tt_mesh, prompt_slots=prompt_slots, slots=slots)


@pytest.mark.tt
@pytest.mark.parametrize("number", range(len(SAMPLINGS)))
def test_filters_are_those_of_transformers(number: int, tt_golden: Any) -> None:
    golden = tt_golden.load("generation", reference=generation)
    found = probabilities(golden.inputs["logits"], SAMPLINGS[number]).astype(np.float32)
    expected = golden.outputs[f"probabilities/{number}"]
    np.testing.assert_array_equal(found > 0, expected > 0)
    verdict = compare({"probabilities": found}, {"probabilities": expected})
    assert verdict.passed, verdict.text()


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    sampling, draws = Sampling(temperature=0.8, top_k=5), 20_000
    logits = np.array([[0.0, 1.0, -2.0, 2.0, 0.5, -0.5, 1.5]], np.float32)
    random = np.random.default_rng(3)
    drawn = draw(np.repeat(logits, draws, axis=0), sampling, random)
    shares, expected = np.bincount(drawn, minlength=7) / draws, probabilities(logits, sampling)[0]
    assert (expected == 0).sum() == 2
    assert (shares[expected == 0] == 0).all()
    assert np.abs(shares - expected).max() < 4 * 0.5 / np.sqrt(draws)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
    ],
)
def test_settings_that_mean_nothing(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Sampling(**settings)
