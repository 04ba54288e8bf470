"""The independent reference: transformers' GPT2LMHeadModel in float32. Needs the extra ``reference``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.authoring import published
from zoo.checkpoints.synthetic import uniform
from zoo.gpt2 import params
from zoo.gpt2.model import CONFIGS, TINY
from zoo.references import huggingface as common
from zoo.text.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.gpt2.model import GPT2Config

FOLDER = Path(__file__).parent

NEW_TOKENS = 24

SAMPLINGS = (
    Sampling(),
    Sampling(temperature=0.7),
    Sampling(temperature=1.6, top_k=7),
    Sampling(top_p=0.8),
    Sampling(temperature=0.9, top_k=20, top_p=0.6),
)
"""The settings whose probabilities are compared with transformers' filters."""


def made_up_inputs(config: GPT2Config) -> dict[str, np.ndarray]:
    """Token numbers, masks and positions [batch, length] int32; half of the rows begin with padding."""
    return common.ragged_inputs("gpt2", config.name, config.vocab_size)


def select(config: GPT2Config, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the golden holds: logits after every token but padding, of large vocabularies a part."""
    return common.kept_logits(
        outputs["logits"][..., : config.vocab_size], made_up_inputs(config)["attention_mask"], every=97
    )


def torch_model(config: GPT2Config, scores: float = 1.0, told: Mapping[str, Any] | None = None) -> Any:
    """transformers' model with the made-up weights, read from a checkpoint that holds them.

    `told`: its config.json; None: what ours says.
    """
    tensors = params.synthetic_checkpoint(config, scores=scores)
    return common.loaded_model("GPT2LMHeadModel", tensors, told or params.hub_config(config))


def _info(config: GPT2Config, implementation: str, scores: float = 1.0) -> dict[str, Any]:
    weights = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config, scores=scores))}
    return common.made_by("gpt2", config.name, implementation, weights)


def _golden(config: GPT2Config, scores: float = 1.0, told: Mapping[str, Any] | None = None) -> Golden:
    given = made_up_inputs(config)
    implementation = "transformers GPT2LMHeadModel, eager attention, float32"
    return Golden(
        inputs=given,
        outputs=select(config, {"logits": common.logits_of(torch_model(config, scores, told), given)}),
        info={**_info(config, implementation, scores), "dtype": "float32"},
    )


def golden(variant: str) -> Golden:
    """Logits of a ragged batch."""
    return _golden(CONFIGS[variant])


WORDS = 61
"""Of published sizes that are cut."""


def one_layer(config: GPT2Config) -> GPT2Config:
    """A published size cut to one layer and few words: what is left has the true width, heads and epsilon."""
    return replace(config, name=f"{config.name}-1-layer", num_hidden_layers=1, vocab_size=WORDS)


def golden_of_one_layer(variant: str) -> Golden:
    """The same of a published size, cut; the reference is built from what is published, not from our config."""
    words = {"vocab_size": WORDS, "bos_token_id": WORDS - 1, "eos_token_id": WORDS - 1}
    return _golden(one_layer(CONFIGS[variant]), told=published.config_json(FOLDER, variant, n_layer=1, **words))


LARGE_SCORES = 12.0
"""How many times as large as usual the scores of the golden ``scores`` are: several tens, as trained models have."""


def golden_of_large_scores() -> Golden:
    """The same of the tiny variant with large scores."""
    return _golden(TINY, LARGE_SCORES)


def prompts() -> list[list[int]]:
    """Prompts of 1 to 9 tokens for the tiny variant."""
    return common.made_up_prompts("gpt2", TINY.name, TINY.vocab_size, seed=16)  # no two tokens tie


def generation() -> Golden:
    """Tokens that transformers' generate gives for `prompts`, with and without a token that stops a row.

    Among the inputs: the `margins` of the tokens, and the logits whose probabilities `SAMPLINGS` filter.
    """
    generated = common.Generated(torch_model(TINY), prompts(), NEW_TOKENS)
    stop = int(generated.tokens[1, NEW_TOKENS // 2])
    logits = uniform("gpt2/tiny/sampling", (3, TINY.vocab_size), low=-4.0, high=4.0)
    filtered = {f"probabilities/{number}": _filtered(logits, sampling) for number, sampling in enumerate(SAMPLINGS)}
    return Golden(
        inputs={"margins": generated.margins, "stop": np.array([stop], np.int32), "logits": logits},
        outputs={"greedy": generated.tokens, "stopped": generated.stopped(stop), **filtered},
        info=_info(TINY, "transformers GPT2LMHeadModel.generate and its logits warpers, float32"),
    )


def _filtered(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    import torch
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    scores = TemperatureLogitsWarper(sampling.temperature)(None, torch.from_numpy(logits))
    if sampling.top_k is not None:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p is not None:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    return np.asarray(torch.softmax(scores, dim=-1).numpy())
