"""The independent reference: transformers' DistilBertForMaskedLM in PyTorch, float32, eager attention.

It loads the very checkpoint that the zoo's loader reads. What computes it needs the extra ``reference``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import integers
from zoo.distilbert import params
from zoo.distilbert.model import TINY
from zoo.references.huggingface import loaded_model, made_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.distilbert.model import DistilBertConfig

SENTENCES, TOKENS = 8, 16

KEPT = (0, 5, 11)
"""Tokens of each sentence whose hidden states and logits are kept of models of full size."""

LOGITS = 97
"""One logit in so many is kept of models of full size: of every part of the vocabulary, on any number of chips."""


def select(config: DistilBertConfig, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the golden holds of the outputs: all of `TINY`, else slices; never the logits of the padding."""
    hidden, logits = outputs["hidden"], outputs["logits"][..., : config.vocab_size]
    if config is TINY:
        return {"hidden": hidden, "logits": logits}
    return {"hidden": hidden[:, KEPT, :], "logits": logits[:, KEPT, ::LOGITS]}


def made_up_inputs(config: DistilBertConfig) -> dict[str, np.ndarray]:
    """Random tokens in rows that are padded to one length, but the first.

    The last row has its padding in front, as no BERT is asked to do: the mask alone must say what counts.
    """
    name = f"distilbert/{config.name}/input"
    lengths = TOKENS - integers(f"{name}/padding", (SENTENCES, 1), TOKENS * 3 // 4)
    lengths[0] = TOKENS
    mask = np.arange(TOKENS)[None, :] < lengths
    mask[-1] = mask[-1, ::-1]
    ids = integers(f"{name}/ids", (SENTENCES, TOKENS), config.vocab_size)
    return {"input_ids": np.where(mask, ids, 0).astype(np.int32), "attention_mask": mask.astype(np.int32)}


def run(config: DistilBertConfig, inputs: Mapping[str, np.ndarray], scores: float = 1.0) -> dict[str, np.ndarray]:
    """Outputs of the made-up checkpoint, as ``zoo.distilbert.model.DistilBert`` names them."""
    import torch

    checkpoint = params.synthetic_checkpoint(config, scores=scores)
    model = loaded_model("DistilBertForMaskedLM", checkpoint, params.hub_config(config))
    tensors = {name: torch.from_numpy(value).long() for name, value in inputs.items()}
    with torch.inference_mode():
        hidden, logits = model.distilbert(**tensors).last_hidden_state, model(**tensors).logits
    return {"hidden": hidden.numpy(), "logits": logits.numpy()}


LARGE_SCORES = 12.0
"""How many times as large as usual the scores of the golden ``scores`` are: several tens, as trained models have."""


def golden(config: DistilBertConfig, scores: float = 1.0) -> Golden:
    """The golden of one variant, computed now."""
    inputs = made_up_inputs(config)
    outputs = select(config, run(config, inputs, scores))
    weights = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config, scores=scores))}
    implementation = "transformers DistilBertForMaskedLM, float32, eager attention"
    return Golden(
        inputs=inputs,
        outputs={name: np.ascontiguousarray(value) for name, value in outputs.items()},
        info={**made_by("distilbert", config.name, implementation, weights), "dtype": "float32"},
    )
