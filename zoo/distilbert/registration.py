"""DistilBERT's description for the registry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.distilbert import config_keys, params, reference, sharding
from zoo.distilbert.model import BASE, CONFIGS, PRECISION, TINY, DistilBert, forward
from zoo.registry import FEW, Architecture, Checkpoint, GoldenCase, Model, Sharding, tokens_of

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.distilbert.model import DistilBertConfig


def example(config: DistilBertConfig) -> dict[str, Any]:
    """Sixteen tokens in each of eight sentences, the second half of the last one padding."""
    ids = np.arange(8 * 16, dtype=np.int32).reshape(8, 16) % config.vocab_size
    mask = np.ones_like(ids)
    mask[-1, 8:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def blocks(config: DistilBertConfig) -> dict[str, str]:
    """Modules of ours, and those of DistilBertForMaskedLM that give the same."""
    layers = {f"layer_{index}": f"distilbert.transformer.layer.{index}" for index in range(config.num_hidden_layers)}
    head = {"transform": "vocab_transform", "transform_norm": "vocab_layer_norm", "decoder": "vocab_projector"}
    return {"norm": "distilbert.embeddings.LayerNorm", **layers, **head}


def case(config: DistilBertConfig, *, scores: float = 1.0, **others: Any) -> GoldenCase:
    """The golden of a variant; `scores`: how many times as large as usual those of attention are."""
    return GoldenCase(
        variant=config.name,
        reference=partial(reference.golden, config, scores),
        weights=partial(params.synthetic_params, scores=scores),
        select=reference.select,
        **others,
    )


def mutants() -> Mutants:
    """What ``python -m zoo mutants distilbert`` tries."""
    from zoo.distilbert.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run distilbert`` shows."""
    from zoo.distilbert.demo import DEMO

    return DEMO


MODEL = Model(
    name="distilbert",
    variants=CONFIGS,
    architecture=Architecture(
        build=DistilBert,
        forward=forward,
        example=example,
        layer="layer_",
        helpers=("params/word/first_row",),
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
        sources=params.SOURCES,
        key_map=params.key_map,
        synthetic=params.synthetic_checkpoint,
        hub_config=params.hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
    goldens={
        "tiny": case(TINY, quick=FEW),
        "base": case(BASE, quick=()),
        "scores": case(TINY, scores=reference.LARGE_SCORES, meshes=("1x2",)),
    },
    mutants=mutants,
    demo=demo,
)
