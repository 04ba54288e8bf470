"""The independent reference: transformers' WhisperForConditionalGeneration in PyTorch, float32, eager.

Needs the extra ``reference``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_tt.golden import Golden, digest
from zoo.checkpoints.synthetic import coarse_uniform, integers
from zoo.references import huggingface as common
from zoo.whisper import params
from zoo.whisper.model import TINY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.whisper.model import WhisperConfig

WRITTEN = 12
"""Tokens of a row of the decoder."""

NEW_TOKENS = 16

LARGE_SCORES = 12.0
"""How many times as large as usual the scores of the golden ``scores`` are: several tens, as trained models have."""

HEARD = "heard-2"
"""The stream of the sounds that are transcribed: no two tokens tie."""

SUPPRESSED, FIRST_SUPPRESSED = (3, 5, 90), (17, 31)
"""Tokens that are not written, at all and as the first."""


def spectrogram(config: WhisperConfig, rows: int, stream: str = "input") -> np.ndarray:
    """Made-up log-mel spectrograms [rows, num_mel_bins, frames] float32, in the range of the extractor's."""
    name = f"whisper/{config.name}/{stream}"
    return coarse_uniform(name, (rows, config.num_mel_bins, config.frames), low=-1.0, high=1.5)


def made_up_inputs(config: WhisperConfig) -> dict[str, np.ndarray]:
    """Spectrograms, and random tokens that were written, in eight rows."""
    written = integers(f"whisper/{config.name}/written", (8, WRITTEN), config.vocab_size)
    return {"input_features": spectrogram(config, 8), "decoder_input_ids": written.astype(np.int32)}


def select(config: WhisperConfig, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the golden holds: logits after every token, without those of the padding."""
    return {"logits": outputs["logits"][..., : config.vocab_size]}


def torch_model(config: WhisperConfig, scores: float = 1.0) -> Any:
    """transformers' model with the made-up weights, read from a checkpoint that holds them."""
    tensors = params.synthetic_checkpoint(config, scores=scores)
    return common.loaded_model("WhisperForConditionalGeneration", tensors, params.hub_config(config))


def _info(config: WhisperConfig, implementation: str, scores: float = 1.0) -> dict[str, Any]:
    weights = {"kind": "synthetic", "seed": 0, "digest": digest(params.synthetic_params(config, scores=scores))}
    return {**common.made_by("whisper", config.name, implementation, weights), "dtype": "float32"}


def golden(config: WhisperConfig, scores: float = 1.0) -> Golden:
    """Logits of made-up sound; `scores`: how many times as large as usual those of attention are."""
    given = made_up_inputs(config)
    outputs = common.outputs_of(torch_model(config, scores), given, ("logits",))
    implementation = "transformers WhisperForConditionalGeneration, float32, eager attention"
    return Golden(inputs=given, outputs=select(config, outputs), info=_info(config, implementation, scores))


def start(config: WhisperConfig) -> tuple[int, ...]:
    """What a text begins with: in a published size English, transcribed, without timestamps."""
    return (50258, 50259, 50359, 50363) if config is not TINY else (config.vocab_size - 2, 7, 20, 61)


def transcription(config: WhisperConfig, rows: int) -> Golden:
    """Tokens that transformers' generate gives for made-up sound, with and without one that stops a row.

    The sound is not among the inputs: `spectrogram` makes it up again.
    """
    model = torch_model(config)
    settings = model.generation_config
    settings.suppress_tokens, settings.begin_suppress_tokens = list(SUPPRESSED), list(FIRST_SUPPRESSED)
    begun = np.repeat(np.array([start(config)], np.int64), rows, axis=0)
    given = {"input_features": spectrogram(config, rows, HEARD), "decoder_input_ids": begun}
    generated = common.GeneratedFrom(model, given, NEW_TOKENS)
    stop = int(generated.tokens[1, NEW_TOKENS // 2])
    return Golden(
        inputs={"margins": generated.margins, "stop": np.array([stop], np.int32)},
        outputs={"greedy": generated.tokens, "stopped": generated.stopped(stop)},
        info=_info(config, "transformers WhisperForConditionalGeneration.generate, float32"),
    )
