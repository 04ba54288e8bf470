"""BERT's description for the registry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.bert import config_keys, params, reference, sharding
from zoo.bert.model import BASE, CONFIGS, LARGE, MINILM, PRECISION, TINY, Bert, forward
from zoo.registry import FEW, Architecture, Checkpoint, GoldenCase, Model, Sharding, tokens_of

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.bert.model import BertConfig
    from zoo.cli.demo import Demo


def example(config: BertConfig) -> dict[str, Any]:
    """Sixteen tokens in each of eight sentences, the second half of the last one padding."""
    ids = np.arange(8 * 16, dtype=np.int32).reshape(8, 16) % config.vocab_size
    mask = np.ones_like(ids)
    mask[-1, 8:] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def blocks(config: BertConfig) -> dict[str, str]:
    """Modules of ours, and those of BertForMaskedLM or BertModel that give the same."""
    bert = "bert." if config.masked_lm else ""
    found = {
        "word": f"{bert}embeddings.word_embeddings",
        "norm": f"{bert}embeddings.LayerNorm",
    }
    for index in range(config.num_hidden_layers):
        ours, theirs = f"layer_{index}", f"{bert}encoder.layer.{index}"
        found |= {
            f"{ours}/attention": f"{theirs}.attention.output.dense",
            f"{ours}/attention_norm": f"{theirs}.attention.output",
            f"{ours}/up": f"{theirs}.intermediate.dense",
            f"{ours}/down": f"{theirs}.output.dense",
            ours: theirs,
        }
    if config.masked_lm:
        found |= {
            "transform": "cls.predictions.transform.dense",
            "transform_norm": "cls.predictions.transform",
            "decoder": "cls.predictions.decoder",
        }
    return found


def _one_layer(config: BertConfig, case: str) -> GoldenCase:
    return GoldenCase(
        variant=config.name,
        cut=reference.one_layer,
        reference=reference.CASES[case],
        weights=params.synthetic_params,
        select=reference.few_units,
        quick=("1x2",),
    )


def mutants() -> Mutants:
    """What ``python -m zoo mutants bert`` tries."""
    from zoo.bert.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run bert`` shows."""
    from zoo.bert.demo import DEMO

    return DEMO


MODEL = Model(
    name="bert",
    variants=CONFIGS,
    architecture=Architecture(
        build=Bert,
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
        "tiny": GoldenCase(
            variant=TINY.name,
            reference=reference.CASES["tiny"],
            weights=params.golden_params,
            select=reference.everything,
            quick=FEW,
        ),
        "base": GoldenCase(
            variant=BASE.name,
            reference=reference.CASES["base"],
            weights=params.golden_params,
            select=reference.slices,
            quick=(),
        ),
        "minilm": GoldenCase(
            variant=MINILM.name,
            reference=reference.CASES["minilm"],
            weights=params.golden_params,
            select=reference.slices,
            quick=FEW,
        ),
        "large-1-layer": _one_layer(LARGE, "large-1-layer"),
        "minilm-1-layer": _one_layer(MINILM, "minilm-1-layer"),
        "scores": GoldenCase(
            variant=TINY.name,
            reference=reference.CASES["scores"],
            weights=partial(params.synthetic_params, scores=reference.LARGE_SCORES),
            select=reference.words_alone,
            meshes=("1x2",),
        ),
    },
    mutants=mutants,
    demo=demo,
)
