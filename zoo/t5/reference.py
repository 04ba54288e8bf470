"""The independent reference: transformers' T5ForConditionalGeneration in PyTorch, float32, eager.

Needs the extra ``reference``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import integers
from zoo.references import huggingface as common
from zoo.t5 import params
from zoo.t5.model import TINY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.t5.model import T5Config

READ, WRITTEN = 16, 12
"""Tokens of a row of the encoder and of the decoder."""

NEW_TOKENS = 24

READ_ABOUT = "read"
"""The stream of what generation reads: no two tokens tie."""

LARGE_SCORES = 2.5
"""How many times as large as usual the scores of the golden ``scores`` are. Of larger ones the kind of GELU, which is
that of erf on a card, makes more than an emulated program may differ by."""


def made_up_inputs(config: T5Config, stream: str = "input") -> dict[str, np.ndarray]:
    """Random tokens in eight rows, each padded but the first; the last row's padding is in front."""
    stream = f"t5/{config.name}/{stream}"
    lengths = READ - integers(f"{stream}/padding", (8, 1), 12)
    lengths[0] = READ
    mask = np.arange(READ)[None, :] < lengths
    mask[-1] = mask[-1, ::-1]
    ids = integers(f"{stream}/ids", (8, READ), config.vocab_size)
    written = integers(f"{stream}/written", (8, WRITTEN), config.vocab_size)
    written[:, 0] = 0
    return {
        "input_ids": np.where(mask, ids, 0).astype(np.int32),
        "attention_mask": mask.astype(np.int32),
        "decoder_input_ids": written.astype(np.int32),
    }


def select(config: T5Config, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the golden holds: logits after every token, of large vocabularies a part."""
    mask = np.ones((8, WRITTEN), np.int32)
    return common.kept_logits(outputs["logits"][..., : config.vocab_size], mask, every=293)


def torch_model(config: T5Config, scores: float = 1.0) -> Any:
    """transformers' model with the made-up weights, read from a checkpoint that holds them."""
    tensors = params.synthetic_checkpoint(config, scores=scores)
    return common.loaded_model("T5ForConditionalGeneration", tensors, params.hub_config(config))


def _info(config: T5Config, implementation: str, scores: float = 1.0) -> dict[str, Any]:
    weights = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config, scores=scores))}
    return {**common.made_by("t5", config.name, implementation, weights), "dtype": "float32"}


def golden(config: T5Config, scores: float = 1.0) -> Golden:
    """Logits of a ragged batch; `scores`: how many times as large as usual those of attention are."""
    given = made_up_inputs(config)
    return Golden(
        inputs=given,
        outputs=select(config, {"logits": common.logits_of(torch_model(config, scores), given)}),
        info=_info(config, "transformers T5ForConditionalGeneration, float32, eager attention", scores),
    )


def generation() -> Golden:
    """Tokens that transformers' generate gives for the inputs of ``tiny``, with and without one that stops a row."""
    given = made_up_inputs(TINY, READ_ABOUT)
    del given["decoder_input_ids"]
    generated = common.GeneratedFrom(torch_model(TINY), given, NEW_TOKENS)
    stop = int(generated.tokens[1, NEW_TOKENS // 2])
    return Golden(
        inputs={**given, "margins": generated.margins, "stop": np.array([stop], np.int32)},
        outputs={"greedy": generated.tokens, "stopped": generated.stopped(stop)},
        info=_info(TINY, "transformers T5ForConditionalGeneration.generate, float32"),
    )
