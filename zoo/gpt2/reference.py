"""The independent reference: transformers' GPT2LMHeadModel in float32. Needs the extra ``reference``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoint import save_checkpoint
from zoo.gpt2 import params
from zoo.gpt2.model import CONFIGS, TINY
from zoo.sampling import Sampling
from zoo.synthetic import integers, uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.gpt2.model import GPT2Config

BATCH, LENGTH = 8, 16

NEW_TOKENS = 24

SAMPLINGS = (
    Sampling(),
    Sampling(temperature=0.7),
    Sampling(temperature=1.6, top_k=7),
    Sampling(top_p=0.8),
    Sampling(temperature=0.9, top_k=20, top_p=0.6),
)
"""The settings whose probabilities are compared with transformers' filters."""


def inputs(config: GPT2Config) -> dict[str, np.ndarray]:
    """Token numbers, masks and positions [batch, length] int32; half of the rows begin with padding."""
    lengths = LENGTH - np.array([0, 3, 0, 7, 0, 1, 0, 12])
    attention_mask = (np.arange(LENGTH) >= LENGTH - lengths[:, None]).astype(np.int32)
    tokens = integers(f"gpt2/{config.name}/input", (BATCH, LENGTH), config.vocab).astype(np.int32)
    return {
        "input_ids": np.where(attention_mask != 0, tokens, 0).astype(np.int32),
        "attention_mask": attention_mask,
        "position_ids": np.maximum(attention_mask.cumsum(axis=1) - 1, 0).astype(np.int32),
    }


def select(config: GPT2Config, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the golden holds: logits after every token that is no padding, of large vocabularies a part.

    Of those, every 97th, and all of the last position of the first row.
    """
    logits = outputs["logits"][..., : config.vocab]
    real = logits[inputs(config)["attention_mask"] != 0]
    if config.vocab < 1000:
        return {"logits": real}
    return {"some_logits": np.ascontiguousarray(real[:, ::97]), "next_logits": logits[0, -1]}


def torch_model(config: GPT2Config, seed: int = 0) -> Any:
    """transformers' model with the made-up weights, read from a checkpoint that holds them."""
    from transformers import GPT2LMHeadModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as directory:
        facts = params.hugging_face_config(config)
        save_checkpoint(Path(directory), params.checkpoint(config, seed), config=facts)
        model = GPT2LMHeadModel.from_pretrained(directory, attn_implementation="eager", dtype="float32")
    model.eval()
    return model


def _info(config: GPT2Config, implementation: str) -> dict[str, Any]:
    import torch
    import transformers

    return {
        "model": "gpt2",
        "variant": config.name,
        "weights": {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic(config))},
        "reference": {
            "implementation": implementation,
            "versions": {"torch": torch.__version__.partition("+")[0], "transformers": transformers.__version__},
        },
    }


def golden(variant: str) -> Golden:
    """Logits of a ragged batch."""
    import torch

    config = CONFIGS[variant]
    given = inputs(config)
    with torch.no_grad():
        logits = torch_model(config)(**{name: torch.from_numpy(array).long() for name, array in given.items()}).logits
    return Golden(
        inputs=given,
        outputs=select(config, {"logits": logits.numpy()}),
        info={**_info(config, "transformers GPT2LMHeadModel, eager attention, float32"), "dtype": "float32"},
    )


def prompts() -> list[list[int]]:
    """Prompts of 1 to 9 tokens for the tiny variant."""
    lengths = [4, 9, 1, 6, 2]
    tokens = integers("gpt2/tiny/prompts", (len(lengths), max(lengths)), TINY.vocab, seed=15)  # no two tokens tie
    return [tokens[row, :length].tolist() for row, length in enumerate(lengths)]


def generation() -> Golden:
    """Tokens that transformers' generate gives for `prompts`, with and without a token that stops a row.

    Among the inputs: `margins`, by how much each token won over the next, in standard deviations of the logits; and the
    logits whose probabilities `SAMPLINGS` filter.
    """
    import torch

    given = prompts()
    longest = max(len(prompt) for prompt in given)
    input_ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in given])
    attention_mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in given])
    model = torch_model(TINY)
    model.generation_config.eos_token_id = None

    def generate(**settings: Any) -> Any:
        return model.generate(
            input_ids,
            attention_mask=attention_mask,
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            pad_token_id=0,
            **settings,
        )

    greedy = generate(return_dict_in_generate=True, output_scores=True)
    tokens = greedy.sequences[:, longest:].numpy().astype(np.int32)
    scores = torch.stack(greedy.scores, dim=1).numpy()
    best = np.sort(scores, axis=-1)
    margins = (best[..., -1] - best[..., -2]) / scores.std(axis=-1)
    if margins.min() < 1e-3:
        raise ValueError(f"two tokens nearly tie ({margins.min():.1e}): rounding decides; change the prompts' seed")
    stop = int(tokens[1, NEW_TOKENS // 2])
    stopped = generate(eos_token_id=stop)[:, longest:].numpy().astype(np.int32)
    padded = np.zeros_like(tokens)
    padded[:, : stopped.shape[1]] = stopped

    logits = uniform("gpt2/tiny/sampling", (3, TINY.vocab), low=-4.0, high=4.0)
    filtered = {f"probabilities/{number}": _filtered(logits, sampling) for number, sampling in enumerate(SAMPLINGS)}
    return Golden(
        inputs={"margins": margins.astype(np.float32), "stop": np.array([stop], np.int32), "logits": logits},
        outputs={"greedy": tokens, "stopped": padded, **filtered},
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
