"""Settings of generation that a checkpoint has and that are not applied are named, if they change a text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from zoo.checkpoints.tensor_files import CheckpointError
from zoo.text.generation_config import not_applied
from zoo.text.sampling import Sampling

if TYPE_CHECKING:
    from pathlib import Path

INSTRUCT = {
    "bos_token_id": 1, "do_sample": True, "eos_token_id": [2, 3], "pad_token_id": 1, "repetition_penalty": 1.05,
    "temperature": 0.7, "top_k": 20, "top_p": 0.8, "transformers_version": "4.37.0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "sampling", "told"),
    [
        (
            {"_from_model_config": True, "bos_token_id": 5, "eos_token_id": 5, "transformers_version": "4.26.0"},
            None,
            "",
        ),
        ({"num_beams": 1, "repetition_penalty": 1.0, "min_length": 0, "temperature": 0.7, "max_length": 50}, None, ""),
        ({"num_beams": 4, "suppress_tokens": [7], "new_in_6": 3}, None, "new_in_6 3, num_beams 4, suppress_tokens [7]"),
        (INSTRUCT, None, "do_sample True, repetition_penalty 1.05, temperature 0.7, top_k 20, top_p 0.8"),
        (INSTRUCT, Sampling(temperature=0.7, top_k=20), "repetition_penalty 1.05, top_p 0.8"),
        (INSTRUCT, Sampling(temperature=0.7, top_k=20, top_p=0.8), "repetition_penalty 1.05"),
    ],
)
def test_named(tmp_path: Path, settings: dict[str, Any], sampling: Sampling | None, told: str) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    assert not_applied(tmp_path, sampling) == told


def test_settings_in_the_config_of_old_versions(tmp_path: Path) -> None:
    assert not_applied(tmp_path, None) == ""
    (tmp_path / "config.json").write_text(json.dumps({"n_layer": 2, "no_repeat_ngram_size": 3, "num_beams": 2}))
    assert not_applied(tmp_path, None) == "no_repeat_ngram_size 3, num_beams 2"
    (tmp_path / "generation_config.json").write_text(json.dumps({"num_beams": 1}))
    assert not_applied(tmp_path, None) == "no_repeat_ngram_size 3"
    (tmp_path / "generation_config.json").write_text("[")
    with pytest.raises(CheckpointError, match=r"generation_config\.json: not JSON"):
        not_applied(tmp_path, None)
