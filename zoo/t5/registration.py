"""The description of T5 for the registry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.registry import Architecture, Checkpoint, GoldenCase, Model, Sharding, apply_as
from zoo.t5 import config_keys, params, reference, sharding
from zoo.t5.model import CONFIGS, PRECISION, SMALL, T5, TINY

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.t5.model import T5Config


def example(config: T5Config) -> dict[str, Any]:
    """Two tokens to read and one written, in eight rows."""
    ids = np.zeros((8, 2), np.int32)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "decoder_input_ids": ids[:, :1]}


def work(inputs: Any) -> dict[str, int]:
    """Tokens read and written, padding included."""
    return {"tokens": int(inputs["input_ids"].size + inputs["decoder_input_ids"].size)}


def blocks(config: T5Config) -> dict[str, str]:
    """Our modules, and those of T5ForConditionalGeneration that give the same."""
    found: dict[str, str] = {}
    for n in range(config.num_hidden_layers):
        ours, theirs = f"encoder_{n}", f"encoder.block.{n}"
        found |= {
            f"{ours}/attention_norm": f"{theirs}.layer.0.layer_norm",
            f"{ours}/attention": f"{theirs}.layer.0.SelfAttention",
            f"{ours}/mlp_norm": f"{theirs}.layer.1.layer_norm",
            f"{ours}/mlp": f"{theirs}.layer.1.DenseReluDense",
            ours: theirs,
        }
    found["encoder_norm"] = "encoder.final_layer_norm"
    for n in range(config.num_decoder_layers):
        ours, theirs = f"decoder_{n}", f"decoder.block.{n}"
        found |= {
            f"{ours}/attention_norm": f"{theirs}.layer.0.layer_norm",
            f"{ours}/attention": f"{theirs}.layer.0.SelfAttention",
            f"{ours}/cross_norm": f"{theirs}.layer.1.layer_norm",
            f"{ours}/mlp_norm": f"{theirs}.layer.2.layer_norm",
            f"{ours}/mlp": f"{theirs}.layer.2.DenseReluDense",
            ours: theirs,
        }
    return found | {"decoder_norm": "decoder.final_layer_norm", "lm_head": "lm_head"}


def mutants() -> Mutants:
    """What ``python -m zoo mutants t5`` tries."""
    from zoo.t5.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run t5`` shows."""
    from zoo.t5.demo import DEMO

    return DEMO


def _case(config: T5Config, **others: Any) -> GoldenCase:
    return GoldenCase(
        variant=config.name,
        reference=partial(reference.golden, config),
        weights=params.synthetic_params,
        select=reference.select,
        **others,
    )


MODEL = Model(
    name="t5",
    variants=CONFIGS,
    architecture=Architecture(
        build=T5,
        forward=apply_as("logits"),
        example=example,
        layer=(("encoder_", "num_hidden_layers"), ("decoder_", "num_decoder_layers")),
        helpers=("params/shared/first_row",),
        precision=PRECISION,
        work=work,
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
        sources=params.SOURCES,
        key_map=params.key_map,
        synthetic=params.synthetic_checkpoint,
        hub_config=params.hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
    goldens={
        "tiny": _case(TINY, quick=("1x2", "2x4")),
        "flan-t5-small": _case(SMALL, quick=()),
        "scores": GoldenCase(
            variant=TINY.name,
            reference=partial(reference.golden, TINY, reference.LARGE_SCORES),
            weights=partial(params.synthetic_params, scores=reference.LARGE_SCORES),
            select=reference.select,
            meshes=("1x2",),
        ),
        # No logits to compare on a mesh: test_generation.py compares the tokens.
        "generation": GoldenCase(
            variant=TINY.name, reference=reference.generation, weights=params.synthetic_params, meshes=()
        ),
    },
    writer=sharding.writer,
    mutants=mutants,
    demo=demo,
)
