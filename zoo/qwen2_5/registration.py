"""Qwen2.5 as the zoo knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.checkpoints.hub import Source
from zoo.layers.causal_lm import architecture_of
from zoo.layers.precision import DECODER
from zoo.qwen2_5 import config_keys, params
from zoo.qwen2_5.model import CONFIGS, Qwen2
from zoo.qwen2_5.reference import REFERENCE
from zoo.qwen2_5.sharding import SHARDING, decoder
from zoo.references.decoder import blocks
from zoo.registry import FEW, Checkpoint, Model

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo

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
    architecture=architecture_of(Qwen2, DECODER),
    sharding=SHARDING,
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
        "tiny-28-4": REFERENCE.logits_case("tiny-28-4", quick=FEW),
        "tiny-14-2": REFERENCE.logits_case("tiny-14-2", quick=FEW),
        # Two gigabytes of weights.
        "7b-2-layers": REFERENCE.logits_case("7b-2-layers-4k-words", quick=()),
        "0.5b-1-layer": REFERENCE.one_layer_case("qwen2.5-0.5b", ("1x2",)),
        "1.5b-1-layer": REFERENCE.one_layer_case("qwen2.5-1.5b"),
        "3b-1-layer": REFERENCE.one_layer_case("qwen2.5-3b"),
        "7b-1-layer": REFERENCE.one_layer_case("qwen2.5-7b"),
        "scores": REFERENCE.scores_case("tiny-28-4"),
        "bfloat16": REFERENCE.bfloat16_case("tiny-28-4"),
        "text": REFERENCE.text_case("tiny-28-4"),
        "generation-28-4": REFERENCE.generation_case("tiny-28-4"),
        "generation-14-2": REFERENCE.generation_case("tiny-14-2"),
    },
    decoder=decoder,
    mutants=mutants,
    demo=demo,
)
