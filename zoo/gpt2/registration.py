"""GPT-2 as the zoo knows it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.hub import Source
from zoo.gpt2 import config_keys, params, reference, sharding
from zoo.gpt2.model import CONFIGS, GPT2, PRECISION, TINY
from zoo.registry import FEW, Architecture, Checkpoint, GoldenCase, Model, Sharding, apply_as, row_of_tokens, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tt.golden import Golden
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.gpt2.model import GPT2Config


def _case(variant: str, golden: Callable[[str], Golden], **others: Any) -> GoldenCase:
    """Logits of a variant with made-up weights."""
    return GoldenCase(
        variant=variant,
        reference=partial(golden, variant),
        weights=params.synthetic_params,
        select=reference.select,
        **others,
    )


def _one_layer(variant: str, quick: tuple[str, ...]) -> GoldenCase:
    return _case(variant, reference.golden_of_one_layer, cut=reference.one_layer, quick=quick)


def blocks(config: GPT2Config) -> dict[str, str]:
    """Modules of ours, and those of GPT2LMHeadModel that give the same."""
    found = {"wte": "transformer.wte", "wpe": "transformer.wpe"}
    for index in range(config.num_hidden_layers):
        ours, theirs = f"h_{index}", f"transformer.h.{index}"
        found |= {f"{ours}/{name}": f"{theirs}.{name}" for name in ("ln_1", "attn", "ln_2")}
        found |= {f"{ours}/fc": f"{theirs}.mlp.c_fc", f"{ours}/proj": f"{theirs}.mlp", ours: theirs}
    return found | {"ln_f": "transformer.ln_f", "lm_head": "lm_head"}


def mutants() -> Mutants:
    """What ``python -m zoo mutants gpt2`` tries."""
    from zoo.gpt2.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run gpt2`` shows."""
    from zoo.gpt2.demo import DEMO

    return DEMO


MODEL = Model(
    name="gpt2",
    variants=CONFIGS,
    architecture=Architecture(
        build=GPT2,
        forward=apply_as("logits"),
        example=row_of_tokens,
        layer="h_",
        helpers=("params/wte/first_row", "params/lm_head/bias"),
        precision=PRECISION,
        work=tokens_of,
    ),
    sharding=Sharding(
        meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
        param_specs=sharding.param_specs,
        input_specs=sharding.input_specs,
        output_specs=sharding.output_specs,
        fit=sharding.fit,
        prepare=sharding.prepare,
        collectives=sharding.collectives,
    ),
    checkpoint=Checkpoint(
        sources={
            "gpt2": Source("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
            "gpt2-medium": Source("openai-community/gpt2-medium", "6dcaa7a952f72f9298047fd5137cd6e4f05f41da"),
            "gpt2-large": Source("openai-community/gpt2-large", "32b71b12589c2f8d625668d2335a01cac3249519"),
            "gpt2-xl": Source("openai-community/gpt2-xl", "15ea56dee5df4983c59b2538573817e1667135e2"),
        },
        key_map=params.key_map,
        synthetic=params.synthetic_checkpoint,
        hub_config=params.hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
    goldens={
        "tiny": _case("tiny", reference.golden, quick=FEW),
        "gpt2": _case("gpt2", reference.golden, quick=()),
        "gpt2-medium-1-layer": _one_layer("gpt2-medium", ("1x2",)),
        "gpt2-large-1-layer": _one_layer("gpt2-large", ()),
        "gpt2-xl-1-layer": _one_layer("gpt2-xl", ()),
        "scores": GoldenCase(
            variant=TINY.name,
            reference=reference.golden_of_large_scores,
            weights=partial(params.synthetic_params, scores=reference.LARGE_SCORES),
            select=reference.select,
            meshes=("1x2",),
        ),
        # No logits to compare on a mesh: test_generation.py compares the tokens.
        "generation": GoldenCase(
            variant=TINY.name, reference=reference.generation, weights=params.synthetic_params, meshes=()
        ),
    },
    decoder=sharding.decoder,
    mutants=mutants,
    demo=demo,
)
