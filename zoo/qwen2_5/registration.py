"""Qwen2.5 as the zoo knows it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from zoo.checkpoints.hub import Source
from zoo.qwen2_5 import config_keys, params, reference, sharding
from zoo.qwen2_5.model import CONFIGS, Qwen2
from zoo.registry import Architecture, Checkpoint, GoldenCase, Model, Sharding, apply_as, row_of_tokens, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_tt.golden import Golden
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.qwen2_5.model import Qwen2Config

MESHES = ("1x1", "1x2", "1x4", "1x8", "2x4", "1x16", "1x32", "8x4")

REVISIONS = {
    "0.5B": "060db6499f32faf8b98477b0a26969ef7d8b9987",
    "0.5B-Instruct": "7ae557604adf67be50417f59c2c2f167def9a775",
    "1.5B": "8faed761d45a263340a0528343f099c05c9a4323",
    "1.5B-Instruct": "989aa7980e4cf806f80c7fef2b1adb7bc71aa306",
    "3B": "3aab1f1954e9cc14eb9509a215f9e5ca08227a9b",
    "3B-Instruct": "aa8e72537993ba99e69dfaafa59ed015b17504d1",
    "7B": "d149729398750b98c0af14eb82c78cfe92750796",
    "7B-Instruct": "a09a35458c702b33eeacc393d103063234e8bc28",
}
"""Commits of ``Qwen/Qwen2.5-…`` on the Hugging Face hub."""


def _through_the_cache(module: Qwen2) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    """Logits of the golden ``text``: its prompts at once, beside slots of padding, the rest token by token."""

    def apply(params: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        tokens, given = np.asarray(inputs["tokens"]), reference.GIVEN
        rows, length = tokens.shape
        prompt = np.pad(tokens[:, :given], ((0, 0), (0, 3)))
        logits, cache = module.apply(params, prompt, np.full(rows, given - 1, np.int32), length, method="prefill")
        found = [logits]
        for place in range(given, length):
            positions = np.full(rows, place, np.int32)
            logits, cache = module.apply(params, tokens[:, place], positions, cache, method="decode")
            found.append(logits)
        return {"logits": jnp.stack(found, axis=1)}

    return apply


def _case(variant: str, golden: Callable[[str], Golden], **others: Any) -> GoldenCase:
    return GoldenCase(variant=variant, reference=partial(golden, variant), weights=params.synthetic_params, **others)


def _logits_case(variant: str, quick: tuple[str, ...] | None = None) -> GoldenCase:
    return _case(variant, reference.golden, select=reference.select, quick=quick)


def _one_layer(variant: str, quick: tuple[str, ...]) -> GoldenCase:
    return _case(
        variant,
        reference.golden_of_one_layer,
        cut=reference.one_layer,
        select=reference.select,
        meshes=("1x2", "1x8"),
        quick=quick,
    )


def blocks(config: Qwen2Config) -> dict[str, str]:
    """Modules of ours, and those of Qwen2ForCausalLM that give the same."""
    found = {"embed": "model.embed_tokens"}
    inside = {
        "input_norm": "input_layernorm",
        "attention": "self_attn",
        "post_attention_norm": "post_attention_layernorm",
        "mlp": "mlp",
    }
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layers_{index}", f"model.layers.{index}"
        found |= {f"{ours}/{name}": f"{theirs}.{other}" for name, other in inside.items()}
        found[ours] = theirs
    return found | {"norm": "model.norm"}


def mutants() -> Mutants:
    """What ``python -m zoo mutants qwen2_5`` tries."""
    from zoo.qwen2_5.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run`` shows."""
    from zoo.qwen2_5.demo import DEMO

    return DEMO


MODEL = Model(
    name="qwen2_5",
    variants=CONFIGS,
    architecture=Architecture(
        build=Qwen2,
        forward=apply_as("logits"),
        example=row_of_tokens,
        layer="layers_",
        helpers=("params/embed/first_row",),
        work=tokens_of,
    ),
    sharding=Sharding(
        meshes=MESHES,
        param_specs=sharding.param_specs,
        input_specs=sharding.input_specs,
        output_specs=sharding.output_specs,
        fit=sharding.fit,
        prepare=sharding.prepare,
        collectives=sharding.collectives,
        card_collectives=sharding.card_collectives,
    ),
    checkpoint=Checkpoint(
        sources={
            f"qwen2.5-{size.lower()}": Source(f"Qwen/Qwen2.5-{size}", revision) for size, revision in REVISIONS.items()
        },
        key_map=params.key_map,
        synthetic=params.synthetic_checkpoint,
        hub_config=params.hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
    goldens={
        "tiny-28-4": _logits_case("tiny-28-4"),
        "tiny-14-2": _logits_case("tiny-14-2"),
        # Two gigabytes of weights.
        "7b-2-layers": _logits_case("7b-2-layers-4k-words", quick=()),
        "0.5b-1-layer": _one_layer("qwen2.5-0.5b", ("1x2",)),
        "1.5b-1-layer": _one_layer("qwen2.5-1.5b", ()),
        "3b-1-layer": _one_layer("qwen2.5-3b", ()),
        "7b-1-layer": _one_layer("qwen2.5-7b", ()),
        "scores": GoldenCase(
            variant="tiny-28-4",
            reference=partial(reference.golden_of_large_scores, "tiny-28-4"),
            weights=partial(params.synthetic_params, scores=reference.LARGE_SCORES),
            select=reference.select,
            meshes=("1x2",),
        ),
        "bfloat16": GoldenCase(
            variant="tiny-28-4",
            cut=reference.in_bfloat16,
            reference=partial(reference.golden_of_bfloat16, "tiny-28-4"),
            weights=params.synthetic_params,
            select=reference.select,
            meshes=("1x2", "1x8"),
        ),
        # No logits of one pass: test_generation.py compares these.
        "text": _case("tiny-28-4", reference.text, meshes=(), forward=_through_the_cache),
        "generation-28-4": _case("tiny-28-4", reference.generation, meshes=()),
        "generation-14-2": _case("tiny-14-2", reference.generation, meshes=()),
    },
    decoder=sharding.decoder,
    mutants=mutants,
    demo=demo,
)
