"""Writing on the chips: token for token what transformers gives, for texts of different lengths at once."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from pytest_tt.tt_compiler.upstream import refused
from zoo.checkpoints.placement import prepared
from zoo.references.huggingface import NEAR_TIE
from zoo.registry import SLOW
from zoo.t5 import params as t5_params
from zoo.t5.model import TINY
from zoo.t5.reference import NEW_TOKENS, generation
from zoo.t5.sharding import collectives, prepare, writer
from zoo.text.encoder_decoder import Writer
from zoo.text.sampling import Sampling

SLOTS = 32


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    return t5_params.synthetic_params(TINY)


def make(weights: dict[str, Any], mesh: Any, jit: Any) -> Writer:
    return Writer(writer(TINY, mesh), prepared(prepare(TINY, mesh), weights), mesh, slots=SLOTS, jit=jit)


@pytest.mark.tt(mesh=["1x1", "1x2", "1x8", "2x4"] if os.environ.get(SLOW) else ["1x2"])
def test_equals_transformers_token_for_token(
    weights: dict[str, Any], tt_mesh: Any, tt_jit: Any, tt_golden: Any, tt_run: Any
) -> None:
    golden = tt_golden.load("generation", reference=generation)
    read = {name: golden.inputs[name] for name in ("input_ids", "attention_mask")}
    written, stop = make(weights, tt_mesh, tt_jit), int(golden.inputs["stop"][0])
    outputs = {
        "greedy": written(read, NEW_TOKENS),
        "stopped": written(read, NEW_TOKENS, stop=[stop]),
    }
    if tt_run.backend == "sim":
        tt_golden(outputs, "generation", reference=generation, weights=weights)
        # Rows do not touch each other, and one that only fills the batch changes nothing.
        count = 7 if tt_mesh.shape["batch"] > 1 else 8
        order = np.array([4, 1, 6, 0, 3, 7, 5, 2][:count])
        np.testing.assert_array_equal(
            written({name: value[order] for name, value in read.items()}, 9), outputs["greedy"][order, :9]
        )
        # Given tokens go in one by one: what was written is written again behind its own beginning.
        again = written(read, 8, start=(0, *outputs["greedy"][3, :5].tolist()))
        np.testing.assert_array_equal(again[3], outputs["greedy"][3, 5:13])
        of_one = written(read, 9, sampling=Sampling(temperature=3.0, top_k=1))
        np.testing.assert_array_equal(of_one, outputs["greedy"][:, :9])
    else:  # a row may go its own way once rounding has decided
        sure = np.logical_and.accumulate(golden.inputs["margins"] > NEAR_TIE, axis=1)
        np.testing.assert_array_equal(outputs["greedy"][sure], golden.outputs["greedy"][sure])

    # One program each, whatever the step and the rows still running.
    (encode,), (decode,) = written.encode.programs, written.decode.programs
    for program, taken in ((encode, read), (decode, {"tokens": None})):
        assert refused(program.stablehlo) == ()
        assert "dynamic_slice" not in program.stablehlo
        assert program.collectives in (collectives(TINY, tt_mesh, taken), None)


@pytest.mark.tt
def test_what_does_not_fit(weights: dict[str, Any], tt_mesh: Any) -> None:
    written = make(weights, tt_mesh, lambda function, **options: function)
    read = {name: np.ones((1, 4), np.int32) for name in ("input_ids", "attention_mask")}
    for new_tokens, start, text in (
        (0, None, "0 new tokens behind 1: expected 1 to 32 in 32 slots"),
        (SLOTS + 1, None, "33 new tokens behind 1"),
        (SLOTS, (0, 3), "32 new tokens behind 2: expected 1 to 31"),
        (1, (107,), r"text begins with \(107,\): expected tokens of 0 to 106"),
        (1, (), "text begins with"),
    ):
        with pytest.raises(ValueError, match=text):
            written(read, new_tokens, start=start)
    with pytest.raises(ValueError, match="slots 0: expected 1 to any number for tiny"):
        Writer(writer(TINY, tt_mesh), weights, tt_mesh, slots=0)
