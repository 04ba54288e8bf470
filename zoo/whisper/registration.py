"""The description of Whisper for the registry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.registry import Architecture, Checkpoint, GoldenCase, Model, Sharding, apply_as
from zoo.whisper import config_keys, params, reference, sharding
from zoo.whisper.model import CONFIGS, PRECISION, SMALLEST, TINY, Whisper

if TYPE_CHECKING:
    from zoo.authoring.mutants import Mutants
    from zoo.cli.demo import Demo
    from zoo.whisper.model import WhisperConfig


def example(config: WhisperConfig) -> dict[str, Any]:
    """Sound, and one token written, in eight rows."""
    sound = np.zeros((8, config.num_mel_bins, config.frames), np.float32)
    return {"input_features": sound, "decoder_input_ids": np.zeros((8, 1), np.int32)}


def usual(config: WhisperConfig) -> dict[str, Any]:
    """Sound, and up to 128 tokens written, in one row."""
    sound = np.zeros((1, config.num_mel_bins, config.frames), np.float32)
    tokens = min(128, config.max_position_embeddings)
    return {"input_features": sound, "decoder_input_ids": np.zeros((1, tokens), np.int32)}


def blocks(config: WhisperConfig) -> dict[str, str]:
    """Our modules, and those of WhisperForConditionalGeneration that give the same."""
    found: dict[str, str] = {}
    for stack, layers in (("encoder", config.num_hidden_layers), ("decoder", config.num_decoder_layers)):
        for n in range(layers):
            ours, theirs = f"{stack}_{n}", f"model.{stack}.layers.{n}"
            found |= {
                f"{ours}/attention_norm": f"{theirs}.self_attn_layer_norm",
                f"{ours}/attention": f"{theirs}.self_attn",
                f"{ours}/mlp_norm": f"{theirs}.final_layer_norm",
                f"{ours}/mlp": f"{theirs}.fc2",
                ours: theirs,
            }
            if stack == "decoder":
                found[f"{ours}/cross_norm"] = f"{theirs}.encoder_attn_layer_norm"
        found[f"{stack}_norm"] = f"model.{stack}.layer_norm"
    return found


def mutants() -> Mutants:
    """What ``python -m zoo mutants whisper`` tries."""
    from zoo.whisper.mutants import MUTANTS

    return MUTANTS


def demo() -> Demo:
    """What ``python -m zoo run whisper`` shows."""
    from zoo.whisper.demo import DEMO

    return DEMO


def _case(config: WhisperConfig, scores: float = 1.0, **others: Any) -> GoldenCase:
    """Logits of a variant; `scores`: how many times as large as usual those of attention are."""
    return GoldenCase(
        variant=config.name,
        reference=partial(reference.golden, config, scores),
        weights=partial(params.synthetic_params, scores=scores),
        select=reference.select,
        **others,
    )


def _transcription(config: WhisperConfig, rows: int) -> GoldenCase:
    """No logits to compare on a mesh: test_transcription.py compares the tokens."""
    return GoldenCase(
        variant=config.name,
        reference=partial(reference.transcription, config, rows),
        weights=params.synthetic_params,
        meshes=(),
    )


MODEL = Model(
    name="whisper",
    variants=CONFIGS,
    architecture=Architecture(
        build=Whisper,
        forward=apply_as("logits"),
        example=example,
        usual=usual,
        layer=(("encoder_", "num_hidden_layers"), ("decoder_", "num_decoder_layers")),
        helpers=("params/words/first_row",),
        precision=PRECISION,
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
        "scores": _case(TINY, reference.LARGE_SCORES, meshes=("1x2",)),
        "transcription": _transcription(TINY, 8),
        "whisper-tiny": _transcription(SMALLEST, 2),
    },
    writer=sharding.writer,
    mutants=mutants,
    demo=demo,
)
