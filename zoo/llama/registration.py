"""Llama, Mistral and SmolLM2 as the zoo knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.layers.causal_lm import architecture_of
from zoo.layers.precision import DECODER
from zoo.llama import config_keys, params
from zoo.llama.model import CONFIGS, Llama
from zoo.llama.reference import REFERENCE
from zoo.llama.sharding import SHARDING, decoder
from zoo.references.decoder import blocks
from zoo.registry import Checkpoint, Model

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo


def mutants() -> Mutants:
    """What ``python -m zoo mutants llama`` tries."""
    from zoo.llama.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run`` shows."""
    from zoo.llama.demo import DEMO

    return DEMO


MODEL = Model(
    name="llama",
    variants=CONFIGS,
    architecture=architecture_of(Llama, DECODER),
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
        "tiny": REFERENCE.logits_case("tiny", quick=("1x2", "2x4")),
        "tiny-window": REFERENCE.logits_case("tiny-window", quick=("1x8",)),
        "smollm2-135m-1-layer": REFERENCE.one_layer_case("smollm2-135m"),
        "smollm2-1.7b-1-layer": REFERENCE.one_layer_case("smollm2-1.7b"),
        "llama-3.2-1b-1-layer": REFERENCE.one_layer_case("llama-3.2-1b"),
        "llama-3.1-8b-1-layer": REFERENCE.one_layer_case("llama-3.1-8b"),
        "mistral-7b-1-layer": REFERENCE.one_layer_case("mistral-7b-v0.3"),
        "scores": REFERENCE.scores_case("tiny", quick=()),
        "bfloat16": REFERENCE.bfloat16_case("tiny", quick=()),
        "text": REFERENCE.text_case("tiny"),
        "text-window": REFERENCE.text_case("tiny-window"),
        "generation-tiny": REFERENCE.generation_case("tiny"),
        "generation-tiny-window": REFERENCE.generation_case("tiny-window"),
    },
    decoder=decoder,
    mutants=mutants,
    demo=demo,
)
