"""Generation on the chips: token for token what transformers gives, for prompts of different lengths at once."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from pytest_tt.compare import compare
from pytest_tt.tt_compiler.upstream import refused
from zoo.checkpoints.placement import place_params
from zoo.layers.decoder_sharding import SHARDING, cache_bytes, fit
from zoo.qwen2_5 import params as qwen_params
from zoo.qwen2_5.model import CONFIGS
from zoo.qwen2_5.reference import REFERENCE
from zoo.qwen2_5.registration import MODEL
from zoo.qwen2_5.sharding import decoder
from zoo.references.decoder import GIVEN, NEW_TOKENS, TEXT
from zoo.references.huggingface import NEAR_TIE
from zoo.registry import SLOW
from zoo.text.accuracy import token_accuracy
from zoo.text.generation import Generator
from zoo.text.sampling import Sampling

PROMPT_SLOTS, SLOTS = 12, 28


def ways() -> list[Any]:
    """Variant and spread on each mesh; rows lie over two axes only where there are two."""
    meshes: dict[str, tuple[str, ...]] = {"tiny-28-4": SHARDING.meshes, "tiny-14-2": SHARDING.meshes}
    if not os.environ.get(SLOW):
        meshes = {"tiny-28-4": ("1x2", "2x4"), "tiny-14-2": ("1x32",)}
    return [
        pytest.param(variant, spread, marks=pytest.mark.tt(mesh=mesh), id=f"{variant}-{mesh}-{spread}")
        for variant in meshes
        for mesh in meshes[variant]
        for spread in (("model",) if mesh.startswith("1x") else ("model", "all"))
    ]


def make(variant: str, spread: str, mesh: Any, jit: Any, slots: int = SLOTS) -> Generator:
    config = replace(CONFIGS[variant], spread=spread)
    weights = place_params(MODEL, config, mesh, qwen_params.synthetic_params(config))
    return Generator(decoder(config, mesh), weights, mesh, prompt_slots=PROMPT_SLOTS, slots=slots, jit=jit)


@pytest.mark.parametrize(("variant", "spread"), ways())
def test_equals_transformers_token_for_token(
    variant: str, spread: str, tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any
) -> None:
    config, case = CONFIGS[variant], variant.replace("tiny", "generation")
    golden = tt_golden.load(case, reference=lambda: REFERENCE.generation(variant))
    generator = make(variant, spread, tt_mesh, tt_jit)
    outputs = {
        "greedy": generator(REFERENCE.prompts(config), NEW_TOKENS),
        "stopped": generator(REFERENCE.prompts(config), NEW_TOKENS, stop=golden.inputs["stops"].tolist()),
    }
    if tt_run.backend == "sim":
        weights = qwen_params.synthetic_params(config)
        tt_golden(outputs, case, reference=lambda: REFERENCE.generation(variant), weights=weights)
    else:  # a row may go its own way once rounding has decided
        sure = np.logical_and.accumulate(golden.inputs["margins"] > NEAR_TIE, axis=1)
        np.testing.assert_array_equal(outputs["greedy"][sure], golden.outputs["greedy"][sure])

    # One program each, whatever the step, the lengths of the prompts and the rows still running.
    generator([[1] * length for length in (PROMPT_SLOTS, 1, 5, 2, 8)], 3, sampling=Sampling(seed=1))
    fitted = fit(replace(config, spread=spread), tt_mesh)
    declared = SHARDING.declared(fitted, tt_mesh, {}, card=tt_run.runs_tt)
    for function in (generator.prefill, generator.decode):
        (program,) = function.programs
        assert refused(program.stablehlo) == ()
        assert "dynamic_slice" not in program.stablehlo
        assert program.collectives in (declared, None)


@pytest.mark.tt(mesh=["1x8", "2x4"])
def test_token_accuracy(tt_mesh: Any, tt_jit: Any, tt_golden: Any) -> None:
    """Teacher forcing through the cache, against one pass of the reference over each whole text."""
    golden = tt_golden.load("text", reference=lambda: REFERENCE.text("tiny-28-4"))
    tokens, top5 = golden.inputs["tokens"], golden.inputs["top5"]
    config = CONFIGS["tiny-28-4"]
    weights = place_params(MODEL, config, tt_mesh, qwen_params.synthetic_params(config))
    generator = Generator(decoder(config, tt_mesh), weights, tt_mesh, prompt_slots=GIVEN + 3, slots=TEXT, jit=tt_jit)
    logits = generator.follow(tokens.tolist(), GIVEN)
    tt_golden({"logits": logits}, "text", reference=lambda: REFERENCE.text("tiny-28-4"), top1=0.9, top5=0.99)
    metrics = compare({"logits": logits}, golden.outputs).metrics()
    assert token_accuracy(logits, top5) == (metrics["top1"], metrics["top5"])
    _, cache = generator.prefill(generator.params, np.zeros((4, GIVEN + 3), np.int32), np.zeros(4, np.int32))
    held = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(cache))
    assert held == cache_bytes(config, tt_mesh, 4, TEXT)
    # A model that is wrong says other things: one that always gives the second likeliest token, and a random one.
    second = np.zeros_like(logits)
    np.put_along_axis(second, top5[..., 1:2], 1.0, axis=-1)
    assert token_accuracy(second, top5) == (0.0, 1.0)
    assert token_accuracy(np.random.default_rng(0).random(logits.shape), top5).top5 < 0.2


def test_what_accuracy_cannot_be_told_of() -> None:
    for logits, top5 in (((3, 9), (2, 5)), ((3, 9), (3, 4)), ((0, 9), (0, 5))):
        with pytest.raises(ValueError, match="expected"):
            token_accuracy(np.zeros(logits), np.zeros(top5, np.int32))


@pytest.mark.tt(mesh="1x2")
def test_tokens_come_one_by_one(tt_mesh: Any, tt_jit: Any) -> None:
    generator, given = make("tiny-14-2", "model", tt_mesh, tt_jit), REFERENCE.prompts(CONFIGS["tiny-14-2"])
    whole = generator(given, 6)
    stream = generator.stream(given, 6)
    np.testing.assert_array_equal(next(stream), whole[:, 0])
    np.testing.assert_array_equal(list(stream), whole[:, 1:].T)
    # A row that has stopped gives padding; where all have, the stream ends.
    stopped = list(generator.stream(given[:1], 6, stop=int(whole[0, 2]), padding=7))
    assert [int(tokens[0]) for tokens in stopped] == whole[0, : len(stopped)].tolist()
    assert len(stopped) == 1 + whole[0].tolist().index(whole[0, 2])
    with pytest.raises(ValueError, match=r"texts of \[2, 3\] tokens, 1 given"):
        generator.follow([[1, 2], [1, 2, 3]], 1)
    with pytest.raises(ValueError, match="token 131: expected 0 to 130"):
        generator.follow([[1, 2, 131]], 1)
