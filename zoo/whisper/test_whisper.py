"""Checkpoints by all names they come under, and the demo with a file of sound.

That each variant's golden agrees on every mesh, `zoo/test_contract.py` shows.
"""

from __future__ import annotations

import json
import wave
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from pytest_tt.compare import flatten
from zoo.__main__ import main
from zoo.checkpoints.config_check import contradictions
from zoo.checkpoints.loading import CheckpointError, convert_tensors
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.cli.demo import DemoError
from zoo.whisper import params as whisper_params
from zoo.whisper.demo import RATE, log_mel, prompt_of, samples
from zoo.whisper.model import CONFIGS, SMALLEST, TINY
from zoo.whisper.registration import MODEL

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = {
    "whisper-tiny": 37_760_640,
    "whisper-base": 72_593_920,
    "whisper-small": 241_734_912,
    "whisper-medium": 763_857_920,
    "whisper-large-v2": 1_543_304_960,
    "whisper-large-v3": 1_543_490_560,
    "whisper-large-v3-turbo": 808_878_080,
}
"""As published, the words, which are the head too, counted once."""


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    return whisper_params.synthetic_params(TINY)


@pytest.mark.parametrize("variant", PARAMETERS)
def test_sizes(variant: str) -> None:
    shapes = MODEL.architecture.shapes(CONFIGS[variant])
    del shapes["params"]["words"]["first_row"]
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes)) == PARAMETERS[variant]


def test_names_of_published_checkpoints(weights: dict[str, Any]) -> None:
    published = dict(whisper_params.synthetic_checkpoint(TINY))
    shapes, expected = MODEL.architecture.shapes(TINY), flatten(weights)
    words = published["model.decoder.embed_tokens.weight"]
    found = flatten(convert_tensors({**published, "proj_out.weight": words}, TINY, whisper_params.KEY_MAP, shapes))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    other = {**published, "proj_out.weight": words[::-1]}
    with pytest.raises(CheckpointError, match=r"proj_out\.weight"):
        convert_tensors(other, TINY, whisper_params.KEY_MAP, shapes)
    bias = {**published, "model.encoder.layers.0.self_attn.k_proj.bias": np.zeros(40, np.float32)}
    with pytest.raises(CheckpointError, match=r"k_proj\.bias"):
        convert_tensors(bias, TINY, whisper_params.KEY_MAP, shapes)


def test_configs_that_are_not_ours() -> None:
    told = whisper_params.hub_config(SMALLEST)

    def refused(**changes: Any) -> str:
        content = {key: value for key, value in {**told, **changes}.items() if value is not ...}
        return ", ".join(contradictions(MODEL, "whisper-tiny", content))

    assert refused() == refused(max_length=448, suppress_tokens=[1, 2], forced_decoder_ids=[[1, 50259]]) == ""
    assert "vocab_size is 51864, not 51865" in refused(vocab_size=51864)  # of the models for English alone
    assert "decoder_attention_heads is 8, not 6" in refused(decoder_attention_heads=8)
    assert "activation_function is 'gelu_new', not gelu" in refused(activation_function="gelu_new").replace(
        "'gelu'", "gelu"
    )
    assert "scale_embedding is True" in refused(scale_embedding=True)
    assert "max_source_positions is 750, not 1500" in refused(max_source_positions=750)
    assert "a key that the zoo does not know" in refused(rotary=True)


def record(path: Path, seconds: float, *, rate: int = RATE, channels: int = 1) -> None:
    """A file with a made-up sound."""
    time = np.arange(int(seconds * rate)) / rate
    sound = (np.sin(2 * np.pi * 440 * time) * np.cos(9 * time) * 9000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(sound, channels).tobytes())


def test_sound(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    record(path, 0.5, channels=2)
    found = samples(path)
    assert found.shape == (8000,)
    assert 0.25 < np.abs(found).max() < 0.28
    heard = log_mel(found, SMALLEST)
    assert heard.shape == (1, 80, 3000)
    assert heard.dtype == np.float32
    assert heard.max() - heard.min() == pytest.approx(2.0)  # eight powers of ten, over four
    assert (heard[..., 60:] == heard.min()).all()  # silence
    assert abs(int(heard[0, :, 20].argmax()) - 11) <= 1  # 440 Hz, in bins of 37.5 Hz there
    record(path, 0.1, rate=8000)
    with pytest.raises(DemoError, match="16 bits at 8000 Hz; expected 16 bits at 16000 Hz"):
        samples(path)
    path.write_bytes(b"RIFF")
    with pytest.raises(DemoError):
        samples(path)


def test_prompts() -> None:
    told = {
        "decoder_start_token_id": 9,
        "lang_to_id": {"<|en|>": 1, "<|de|>": 2},
        "task_to_id": {"transcribe": 3, "translate": 4},
        "no_timestamps_token_id": 5,
    }
    assert prompt_of(told, "de", "translate") == (9, 2, 4, 5)
    with pytest.raises(DemoError, match="--language xx: expected one of de, en"):
        prompt_of(told, "xx", "transcribe")
    assert prompt_of({"decoder_start_token_id": 9}, "en", "transcribe") == (9,)


@pytest.mark.tt(mesh="1x2")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], tt_run: Any) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = [f"w{number}" for number in range(TINY.vocab_size)]
    reader = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(words)}, "w2"))
    reader.save(str(tmp_path / "tokenizer.json"))
    save_checkpoint(tmp_path, whisper_params.synthetic_checkpoint(TINY), config=whisper_params.hub_config(TINY))
    told = {"decoder_start_token_id": 105, "eos_token_id": 106, "suppress_tokens": [44, 53]}
    arguments = ["run", "whisper", "--checkpoint", str(tmp_path), str(tmp_path / "a.wav"), "--tokens", "9"]
    record(tmp_path / "a.wav", 0.3)
    with pytest.raises(SystemExit):
        main(arguments)
    assert "it says which tokens a text begins with" in capsys.readouterr().err
    (tmp_path / "generation_config.json").write_text(json.dumps(told))
    assert main([*arguments, "--mesh", str(tt_run.mesh)]) == 0
    found = capsys.readouterr().out.splitlines()
    written = found[0].removesuffix(" (not to the end: --tokens)").split()
    assert 1 <= len(written) <= 10
    assert set(written) <= set(words) - {"w44", "w53"}
    assert any(line.startswith("run") and f"0.3 s of sound, {len(written)} tokens" in line for line in found)
