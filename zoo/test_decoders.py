"""Language models on shared layers: token for token what transformers generates, and its likeliest tokens.

Each has a `DecoderReference` and goldens ``generation-<variant>`` and ``text``. Qwen2.5 has tests of its own.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tt.tt_compiler.upstream import refused
from zoo import registry
from zoo.checkpoints.placement import place_params
from zoo.references.decoder import GIVEN, NEW_TOKENS, TEXT
from zoo.references.huggingface import NEAR_TIE
from zoo.registry import SLOW
from zoo.text.generation import Generator
from zoo.text.sampling import Sampling

if TYPE_CHECKING:
    from zoo.references.decoder import DecoderReference

VARIANTS = {"llama": {"tiny": "1x2", "tiny-window": "1x8"}, "qwen3": {"tiny": "1x2"}, "gemma3": {"tiny": "1x8"}}
"""Model to variants, and the mesh on which the usual tests let each write; where `SLOW` is set, all of `MESHES`."""

MESHES = ("1x1", "1x2", "1x8", "2x4")

PROMPT_SLOTS, SLOTS = 12, 28


def ways() -> list[Any]:
    """Model and variant on each mesh."""
    return [
        pytest.param(
            name, variant, marks=pytest.mark.tt(mesh=mesh, model=name, variant=variant), id=f"{name}-{variant}-{mesh}"
        )
        for name, variants in VARIANTS.items()
        for variant, usual in variants.items()
        for mesh in (MESHES if os.environ.get(SLOW) else (usual,))
    ]


def reference_of(name: str) -> DecoderReference:
    found: DecoderReference = importlib.import_module(f"zoo.{name}.reference").REFERENCE
    return found


def make(name: str, variant: str, mesh: Any, jit: Any, prompt_slots: int = PROMPT_SLOTS) -> tuple[Generator, Any]:
    """A generator with made-up weights, and these."""
    model = registry.model(name)
    config, made = model.config(variant), reference_of(name).params(model.config(variant))
    assert model.decoder is not None
    placed = place_params(model, config, mesh, made)
    return Generator(model.decoder(config, mesh), placed, mesh, prompt_slots=prompt_slots, slots=SLOTS, jit=jit), made


@pytest.mark.parametrize(("name", "variant"), ways())
def test_equals_transformers_token_for_token(
    name: str, variant: str, tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any
) -> None:
    model, reference, case = registry.model(name), reference_of(name), f"generation-{variant}"
    checker = tt_golden.at(model.golden_folder)
    golden = checker.load(case, reference=lambda: reference.generation(variant))
    config = model.config(variant)
    generator, weights = make(name, variant, tt_mesh, tt_jit)
    outputs = {
        "greedy": generator(reference.prompts(config), NEW_TOKENS),
        "stopped": generator(reference.prompts(config), NEW_TOKENS, stop=golden.inputs["stops"].tolist()),
    }
    if tt_run.backend == "sim":
        checker(outputs, case, reference=lambda: reference.generation(variant), weights=weights)
    else:  # a row may go its own way once rounding has decided
        sure = np.logical_and.accumulate(golden.inputs["margins"] > NEAR_TIE, axis=1)
        np.testing.assert_array_equal(outputs["greedy"][sure], golden.outputs["greedy"][sure])

    # One program each, whatever the step, the lengths of the prompts and the rows still running.
    generator([[1] * length for length in (PROMPT_SLOTS, 1, 5, 2, 8)], 3, sampling=Sampling(seed=1))
    declared = model.sharding.declared(model.sharding.fit(config, tt_mesh), tt_mesh, {}, card=tt_run.runs_tt)
    for function in (generator.prefill, generator.decode):
        (program,) = function.programs
        assert refused(program.stablehlo) == ()
        assert "dynamic_slice" not in program.stablehlo
        assert program.collectives in (declared, None)


@pytest.mark.parametrize(("name", "variant"), ways() if os.environ.get(SLOW) else [])
def test_likeliest_tokens_are_those_of_transformers(
    name: str, variant: str, tt_mesh: Any, tt_jit: Any, tt_golden: Any
) -> None:
    """Teacher forcing through the cache, against one pass of the reference over each whole text."""
    model, reference, case = registry.model(name), reference_of(name), f"text{variant.removeprefix('tiny')}"
    checker = tt_golden.at(model.golden_folder)
    golden = checker.load(case, reference=lambda: reference.text(variant))
    generator, _ = make(name, variant, tt_mesh, tt_jit, GIVEN + 3)
    logits = generator.follow(golden.inputs["tokens"].tolist(), GIVEN)
    assert generator.slots == TEXT
    checker({"logits": logits}, case, reference=lambda: reference.text(variant), top1=0.9, top5=0.99)
