"""The independent reference: transformers' Qwen2ForCausalLM, eager, in float32. Needs the extra ``reference``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.authoring import published
from zoo.checkpoints.synthetic import integers
from zoo.qwen2_5 import params
from zoo.qwen2_5.model import CONFIGS
from zoo.references import huggingface as common

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.qwen2_5.model import Qwen2Config

FOLDER = Path(__file__).parent

IMPLEMENTATION = "transformers Qwen2ForCausalLM, eager attention, float32"

NEW_TOKENS = 16

SEEDS = {"tiny-28-4": 6, "tiny-14-2": 12}
"""Of the prompts: with these no two tokens tie."""

TEXT, GIVEN = 28, 16
"""Tokens of a text for teacher forcing, and how many of them are the prompt."""


def made_up_inputs(config: Qwen2Config) -> dict[str, np.ndarray]:
    """Token numbers, masks and positions [batch, length] int32; half of the rows begin with padding.

    One row without padding begins at position 48, so that angles of both tables of `rotations` are compared. In
    bfloat16 three begin at 3000, where bfloat16 has one number in sixteen: positions and angles must not be in it.
    """
    given = common.ragged_inputs("qwen2_5", config.name, config.vocab_size)
    given["position_ids"][[2, 4, 6] if config.dtype == "bfloat16" else [2]] += (
        3000 if config.dtype == "bfloat16" else 48
    )
    return given


def select(config: Qwen2Config, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the golden holds: logits after every token but padding, of large vocabularies a part."""
    return common.kept_logits(
        outputs["logits"][..., : config.vocab_size], made_up_inputs(config)["attention_mask"], every=29
    )


def torch_model(config: Qwen2Config, scores: float = 1.0, told: Mapping[str, Any] | None = None) -> Any:
    """transformers' model with the made-up weights, read from a checkpoint that holds them.

    `told`: its config.json; None: what ours says.
    """
    tensors = params.synthetic_checkpoint(config, scores=scores)
    return common.loaded_model("Qwen2ForCausalLM", tensors, told or params.hub_config(config))


def _info(config: Qwen2Config, implementation: str = IMPLEMENTATION, scores: float = 1.0) -> dict[str, Any]:
    weights = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config, scores=scores))}
    return common.made_by("qwen2_5", config.name, implementation, weights)


def _golden(config: Qwen2Config, scores: float = 1.0, told: Mapping[str, Any] | None = None) -> Golden:
    given = made_up_inputs(config)
    return Golden(
        inputs=given,
        outputs=select(config, {"logits": common.logits_of(torch_model(config, scores, told), given)}),
        info={**_info(config, scores=scores), "dtype": "float32"},
    )


def golden(variant: str) -> Golden:
    """Logits of a ragged batch."""
    return _golden(CONFIGS[variant])


WORDS = 61
"""Of published sizes that are cut."""


def one_layer(config: Qwen2Config) -> Qwen2Config:
    """A published size cut to one layer and few words, in float32: the true width, heads, base and epsilon are left."""
    return replace(config, name=f"{config.name}-1-layer", num_hidden_layers=1, vocab_size=WORDS, dtype="float32")


def golden_of_one_layer(variant: str) -> Golden:
    """The same of a published size, cut; the reference is built from what is published, not from our config."""
    told = published.config_json(FOLDER, variant, num_hidden_layers=1, vocab_size=WORDS, torch_dtype="float32")
    return _golden(one_layer(CONFIGS[variant]), told=told)


LARGE_SCORES = 12.0
"""How many times as large as usual the scores of the golden ``scores`` are: several tens, as trained models have."""


def golden_of_large_scores(variant: str) -> Golden:
    """The same with large scores."""
    return _golden(CONFIGS[variant], LARGE_SCORES)


def in_bfloat16(config: Qwen2Config) -> Qwen2Config:
    """With weights, cache and factors in bfloat16, and positions for texts of some length."""
    return replace(config, dtype="bfloat16", max_position_embeddings=4096)


def golden_of_bfloat16(variant: str) -> Golden:
    """The same with weights rounded to bfloat16; the reference computes in float32 all the same."""
    golden = _golden(in_bfloat16(CONFIGS[variant]))
    bounds = {"pcc": 0.999, "rel_l2": 0.02, "reason": "factors of products are rounded to bfloat16"}
    return replace(golden, info={**golden.info, "dtype": "bfloat16", "bounds": {"sim": bounds}})


def text(variant: str) -> Golden:
    """Logits after each token of four texts from the one before `GIVEN` on, by one pass over the whole texts.

    Among the inputs: `top5`, the five likeliest next tokens there, the likeliest first, which is all that accuracy by
    teacher forcing needs to know of the reference.
    """
    config = CONFIGS[variant]
    tokens = integers(f"qwen2_5/{config.name}/text", (4, TEXT), config.vocab_size).astype(np.int32)
    logits = common.logits_of(torch_model(config), {"input_ids": tokens})[:, GIVEN - 1 :]
    top5 = np.argsort(-logits, axis=-1, kind="stable")[..., :5].astype(np.int32)
    return Golden(inputs={"tokens": tokens, "top5": top5}, outputs={"logits": logits}, info=_info(config))


def prompts(config: Qwen2Config) -> list[list[int]]:
    """Prompts of 1 to 9 tokens."""
    return common.made_up_prompts("qwen2_5", config.name, config.vocab_size, seed=SEEDS[config.name])


def generation(variant: str) -> Golden:
    """Tokens that transformers' generate gives for `prompts`, with and without two tokens that stop a row.

    Among the inputs: the `margins` of the tokens.
    """
    config = CONFIGS[variant]
    generated = common.Generated(torch_model(config), prompts(config), NEW_TOKENS)
    stops = [int(generated.tokens[1, NEW_TOKENS // 2]), int(generated.tokens[3, NEW_TOKENS // 3])]
    return Golden(
        inputs={"margins": generated.margins, "stops": np.array(stops, np.int32)},
        outputs={"greedy": generated.tokens, "stopped": generated.stopped(stops)},
        info=_info(config, "transformers Qwen2ForCausalLM.generate, float32"),
    )
