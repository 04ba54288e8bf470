"""The independent reference: transformers' Qwen2ForCausalLM, eager, in float32. Needs the extra ``reference``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoint import save_checkpoint
from zoo.qwen2_5 import params
from zoo.qwen2_5.model import CONFIGS
from zoo.synthetic import integers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.qwen2_5.model import Qwen2Config

IMPLEMENTATION = "transformers Qwen2ForCausalLM, eager attention, float32"

BATCH, LENGTH = 8, 16

NEW_TOKENS = 16

SEEDS = {"tiny-28-4": 5, "tiny-14-2": 12}
"""Of the prompts: with these no two tokens tie."""

TEXT, GIVEN = 28, 16
"""Tokens of a text for teacher forcing, and how many of them are the prompt."""


def inputs(config: Qwen2Config) -> dict[str, np.ndarray]:
    """Token numbers, masks and positions [batch, length] int32; half of the rows begin with padding.

    One row without padding begins at position 48, so that angles of both tables of `rotations` are compared.
    """
    lengths = LENGTH - np.array([0, 3, 0, 7, 0, 1, 0, 12])
    attention_mask = (np.arange(LENGTH) >= LENGTH - lengths[:, None]).astype(np.int32)
    tokens = integers(f"qwen2_5/{config.name}/input", (BATCH, LENGTH), config.vocab).astype(np.int32)
    places = np.maximum(attention_mask.cumsum(axis=1) - 1, 0)
    places[2] += 48
    return {
        "input_ids": np.where(attention_mask != 0, tokens, 0).astype(np.int32),
        "attention_mask": attention_mask,
        "position_ids": places.astype(np.int32),
    }


def select(config: Qwen2Config, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the golden holds: logits after every token that is no padding, of large vocabularies a part.

    Of those, every 29th, and all of the last position of the first row.
    """
    logits = outputs["logits"][..., : config.vocab]
    real = logits[inputs(config)["attention_mask"] != 0]
    if config.vocab < 1000:
        return {"logits": real}
    return {"some_logits": np.ascontiguousarray(real[:, ::29]), "next_logits": logits[0, -1]}


def torch_model(config: Qwen2Config, seed: int = 0) -> Any:
    """transformers' model with the made-up weights, read from a checkpoint that holds them."""
    from transformers import Qwen2ForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as directory:
        facts = params.hugging_face_config(config)
        save_checkpoint(Path(directory), params.checkpoint(config, seed), config=facts)
        model = Qwen2ForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype="float32")
    model.eval()
    return model


def facts(config: Qwen2Config, implementation: str = IMPLEMENTATION) -> dict[str, Any]:
    """Where a golden of `config` comes from."""
    import torch
    import transformers

    return {
        "model": "qwen2_5",
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
        info={**facts(config), "dtype": "float32"},
    )


def text(variant: str) -> Golden:
    """Logits after each token of four texts from the one before `GIVEN` on, by one pass over the whole texts.

    Among the inputs: `top5`, the five likeliest next tokens there, the likeliest first, which is all that accuracy by
    teacher forcing needs to know of the reference.
    """
    import torch

    config = CONFIGS[variant]
    tokens = integers(f"qwen2_5/{config.name}/text", (4, TEXT), config.vocab).astype(np.int32)
    with torch.no_grad():
        logits = torch_model(config)(torch.from_numpy(tokens).long()).logits[:, GIVEN - 1 :].numpy()
    top5 = np.argsort(-logits, axis=-1, kind="stable")[..., :5].astype(np.int32)
    return Golden(inputs={"tokens": tokens, "top5": top5}, outputs={"logits": logits}, info=facts(config))


def prompts(config: Qwen2Config) -> list[list[int]]:
    """Prompts of 1 to 9 tokens."""
    lengths = [4, 9, 1, 6, 2]
    tokens = integers(
        f"qwen2_5/{config.name}/prompts", (len(lengths), max(lengths)), config.vocab, seed=SEEDS[config.name]
    )
    return [tokens[row, :length].tolist() for row, length in enumerate(lengths)]


def generation(variant: str) -> Golden:
    """Tokens that transformers' generate gives for `prompts`, with and without two tokens that stop a row.

    Among the inputs: `margins`, by how much each token won over the next, in standard deviations of the logits.
    """
    import torch

    config = CONFIGS[variant]
    given = prompts(config)
    longest = max(len(prompt) for prompt in given)
    input_ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in given])
    attention_mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in given])
    model = torch_model(config)

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
    stops = [int(tokens[1, NEW_TOKENS // 2]), int(tokens[3, NEW_TOKENS // 3])]
    stopped = generate(eos_token_id=stops)[:, longest:].numpy().astype(np.int32)
    padded = np.zeros_like(tokens)
    padded[:, : stopped.shape[1]] = stopped
    return Golden(
        inputs={"margins": margins.astype(np.float32), "stops": np.array(stops, np.int32)},
        outputs={"greedy": tokens, "stopped": padded},
        info=facts(config, "transformers Qwen2ForCausalLM.generate, float32"),
    )
