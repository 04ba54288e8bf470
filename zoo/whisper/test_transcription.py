"""Transcribing on the chips: token for token what transformers gives."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from pytest_tt.tt_compiler.upstream import refused
from zoo.checkpoints.placement import prepared
from zoo.references.huggingface import NEAR_TIE
from zoo.registry import SLOW
from zoo.text.encoder_decoder import Writer
from zoo.whisper import params as whisper_params
from zoo.whisper.model import SMALLEST, TINY, WhisperConfig
from zoo.whisper.reference import FIRST_SUPPRESSED, HEARD, NEW_TOKENS, SUPPRESSED, spectrogram, start, transcription
from zoo.whisper.sharding import collectives, prepare, writer


def make(config: WhisperConfig, mesh: Any, jit: Any) -> tuple[Writer, dict[str, Any]]:
    weights = whisper_params.synthetic_params(config)
    model = writer(config, mesh, never=SUPPRESSED, never_first=FIRST_SUPPRESSED)
    return Writer(model, prepared(prepare(config, mesh), weights), mesh, slots=24, jit=jit), weights


def check(config: WhisperConfig, rows: int, case: str, tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any) -> None:
    golden = tt_golden.load(case, reference=lambda: transcription(config, rows))
    written, weights = make(config, tt_mesh, tt_jit)
    heard, stop = {"input_features": spectrogram(config, rows, HEARD)}, int(golden.inputs["stop"][0])
    outputs = {
        "greedy": written(heard, NEW_TOKENS, start=start(config)),
        "stopped": written(heard, NEW_TOKENS, start=start(config), stop=[stop]),
    }
    if tt_run.backend == "sim":
        tt_golden(outputs, case, reference=lambda: transcription(config, rows), weights=weights)
    else:  # a row may go its own way once rounding has decided
        sure = np.logical_and.accumulate(golden.inputs["margins"] > NEAR_TIE, axis=1)
        np.testing.assert_array_equal(outputs["greedy"][sure], golden.outputs["greedy"][sure])
    # One program each, whatever the step and the rows still running.
    (encode,), (decode,) = written.encode.programs, written.decode.programs
    for program, taken in ((encode, heard), (decode, {"tokens": None})):
        assert refused(program.stablehlo) == ()
        assert "dynamic_slice" not in program.stablehlo
        assert program.collectives in (collectives(config, tt_mesh, taken), None)


@pytest.mark.tt(mesh=["1x1", "1x2", "1x8", "2x4"] if os.environ.get(SLOW) else ["1x2"])
def test_equals_transformers_token_for_token(tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any) -> None:
    check(TINY, 8, "transcription", tt_mesh, tt_jit, tt_golden, tt_run)


@pytest.mark.skipif(not os.environ.get(SLOW), reason="takes long: set ZOO_SLOW=1, as nox's session slow does")
@pytest.mark.tt(mesh=["1x1", "1x2", "1x8"])
def test_thirty_seconds_as_transformers(tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any) -> None:
    """With the sizes of whisper-tiny, and all 3000 frames."""
    check(SMALLEST, 2, "whisper-tiny", tt_mesh, tt_jit, tt_golden, tt_run)
