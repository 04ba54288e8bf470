"""GPT-2 as the zoo knows it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from zoo.checkpoints.hub import Source
from zoo.gpt2 import config_keys, params, reference, sharding
from zoo.gpt2.model import CONFIGS, GPT2, TINY
from zoo.registry import GoldenCase, Model, apply_as, tokens_of

if TYPE_CHECKING:
    from zoo.cli.demo import Demo
    from zoo.gpt2.model import GPT2Config


def example(config: GPT2Config) -> dict[str, np.ndarray]:
    """One row of two tokens."""
    row = np.arange(2, dtype=np.int32)[None, :]
    return {"input_ids": row, "attention_mask": np.ones_like(row), "position_ids": row}


def _logits_case(variant: str, quick: tuple[str, ...] | None = None) -> GoldenCase:
    config = CONFIGS[variant]
    return GoldenCase(
        variant=variant,
        reference=partial(reference.golden, variant),
        weights=partial(params.synthetic_params, config),
        select=partial(reference.select, config),
        quick=quick,
    )


def _one_layer(variant: str, quick: tuple[str, ...]) -> GoldenCase:
    config = reference.one_layer(CONFIGS[variant])
    return GoldenCase(
        variant=variant,
        cut=reference.one_layer,
        reference=partial(reference.golden_of_one_layer, variant),
        weights=partial(params.synthetic_params, config),
        select=partial(reference.select, config),
        quick=quick,
    )


def blocks(config: GPT2Config) -> dict[str, str]:
    """Modules of ours, and those of GPT2LMHeadModel that give the same."""
    found = {"wte": "transformer.wte", "wpe": "transformer.wpe"}
    for index in range(config.num_hidden_layers):
        ours, theirs = f"h_{index}", f"transformer.h.{index}"
        found |= {f"{ours}/{name}": f"{theirs}.{name}" for name in ("ln_1", "attn", "ln_2")}
        found |= {f"{ours}/fc": f"{theirs}.mlp.c_fc", f"{ours}/proj": f"{theirs}.mlp", ours: theirs}
    return found | {"ln_f": "transformer.ln_f", "lm_head": "lm_head"}


def demo() -> Demo:
    """What ``python -m zoo run gpt2`` shows."""
    from zoo.gpt2.demo import DEMO

    return DEMO


MODEL = Model(
    name="gpt2",
    variants=CONFIGS,
    build=GPT2,
    layer="h_",
    helpers=("params/wte/first_row", "params/lm_head/bias"),
    example=example,
    forward=apply_as("logits"),
    fit=sharding.fit,
    prepare=sharding.prepare,
    specs=sharding.param_specs,
    input_specs=sharding.input_specs,
    output_specs=sharding.output_specs,
    meshes=("1x1", "1x2", "1x4", "1x8", "2x4", "8x4"),
    collectives=sharding.collectives,
    work=tokens_of,
    cases={
        "tiny": _logits_case("tiny"),
        "gpt2": _logits_case("gpt2", quick=("1x8",)),
        "gpt2-medium-1-layer": _one_layer("gpt2-medium", ("1x2",)),
        "gpt2-large-1-layer": _one_layer("gpt2-large", ()),
        "gpt2-xl-1-layer": _one_layer("gpt2-xl", ()),
        "scores": GoldenCase(
            variant=TINY.name,
            reference=reference.golden_of_large_scores,
            weights=partial(params.synthetic_params, TINY, scores=reference.LARGE_SCORES),
            select=partial(reference.select, TINY),
            meshes=("1x2",),
        ),
        # No logits to compare on a mesh: test_generation.py compares the tokens.
        "generation": GoldenCase(
            variant=TINY.name, reference=reference.generation, weights=partial(params.synthetic_params, TINY), meshes=()
        ),
    },
    sources={
        "gpt2": Source("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
        "gpt2-medium": Source("openai-community/gpt2-medium", "6dcaa7a952f72f9298047fd5137cd6e4f05f41da"),
        "gpt2-large": Source("openai-community/gpt2-large", "32b71b12589c2f8d625668d2335a01cac3249519"),
        "gpt2-xl": Source("openai-community/gpt2-xl", "15ea56dee5df4983c59b2538573817e1667135e2"),
    },
    keys=params.key_map,
    synthetic=params.synthetic_checkpoint,
    hub_config=params.hub_config,
    config_keys=config_keys.KEYS,
    blocks=blocks,
    demo=demo,
)
