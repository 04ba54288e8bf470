"""Gemma 3 as the zoo knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.gemma3 import config_keys, params
from zoo.gemma3.model import CONFIGS, Gemma3
from zoo.gemma3.reference import REFERENCE
from zoo.gemma3.sharding import SHARDING, decoder
from zoo.layers.causal_lm import architecture_of
from zoo.layers.precision import DECODER
from zoo.references.decoder import blocks
from zoo.registry import Checkpoint, Model

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo


def mutants() -> Mutants:
    """What ``python -m zoo mutants gemma3`` tries."""
    from zoo.gemma3.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run`` shows."""
    from zoo.gemma3.demo import DEMO

    return DEMO


MODEL = Model(
    name="gemma3",
    variants=CONFIGS,
    architecture=architecture_of(Gemma3, DECODER),
    sharding=SHARDING,
    checkpoint=Checkpoint(
        sources=params.SOURCES,
        key_map=params.key_map,
        synthetic=params.synthetic_checkpoint,
        hub_config=params.hub_config,
        config_keys=config_keys.KEYS,
        blocks=blocks,
    ),
    goldens={
        "tiny": REFERENCE.logits_case("tiny", quick=("1x2", "1x8")),
        "gemma-3-1b-1-layer": REFERENCE.one_layer_case("gemma-3-1b-pt"),
        "scores": REFERENCE.scores_case("tiny", quick=()),
        "bfloat16": REFERENCE.bfloat16_case("tiny", quick=()),
        "text": REFERENCE.text_case("tiny"),
        "generation-tiny": REFERENCE.generation_case("tiny"),
    },
    decoder=decoder,
    mutants=mutants,
    demo=demo,
)
