"""``python -m zoo run whisper``: what was said in a file of sound."""

from __future__ import annotations

import json
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.cli.demo import Demo, DemoError, Shown, Stage, refused, whole_number
from zoo.references.huggingface import without_advice
from zoo.text.encoder_decoder import Writer
from zoo.text.tokenizer import read_tokenizer
from zoo.whisper.sharding import writer

if TYPE_CHECKING:
    import argparse

    from zoo.whisper.model import WhisperConfig

RATE = 16_000
"""Samples a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and how it is transcribed."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a WAV file, 16 bits, 16 kHz; the first 30 s are heard")
    parser.add_argument("--language", default="en", help="that is spoken (default: en)")
    parser.add_argument("--task", choices=("transcribe", "translate"), default="transcribe")
    parser.add_argument("--tokens", type=whole_number(1), default=224, help="tokens to write at most (default: 224)")


def samples(path: Path) -> np.ndarray:
    """Samples of a WAV file, float32 from -1 to 1, its channels' mean. DemoError if it is none, or at another rate."""
    with refused(OSError, EOFError, wave.Error), wave.open(str(path)) as file:
        channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
        data = file.readframes(file.getnframes())
    if (width, rate) != (2, RATE):
        raise DemoError(
            f"{path}: {8 * width} bits at {rate} Hz; expected 16 bits at {RATE} Hz (sox, ffmpeg convert it)"
        )
    found: np.ndarray = np.frombuffer(data, "<i2").reshape(-1, channels).mean(axis=1) / 32768
    if not found.size:
        raise DemoError(f"{path}: no sound in it")
    return found.astype(np.float32)


def log_mel(sound: np.ndarray, config: WhisperConfig) -> np.ndarray:
    """The spectrogram of `sound` [samples] as the model hears it, [1, num_mel_bins, frames] float32, cut or filled up.

    By transformers' WhisperFeatureExtractor; the hop between frames is 10 ms.
    """
    with without_advice():
        from transformers import WhisperFeatureExtractor
    seconds = config.frames // 100
    extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds or 1)
    found = np.asarray(extractor(sound, sampling_rate=RATE, return_tensors="np")["input_features"], np.float32)
    return np.ascontiguousarray(found[:, :, : config.frames])


def prompt_of(told: dict[str, Any], language: str, task: str) -> tuple[int, ...]:
    """The tokens that a text begins with, by generation_config.json. DemoError for a language that it does not have."""
    begin: tuple[int, ...] = (int(told["decoder_start_token_id"]),)
    if "lang_to_id" in told:
        known = {name.strip("<|>"): number for name, number in told["lang_to_id"].items()}
        if language not in known:
            raise DemoError(f"--language {language}: expected one of {', '.join(sorted(known))}")
        begin += (known[language], told["task_to_id"][task])
    return (*begin, told["no_timestamps_token_id"]) if "no_timestamps_token_id" in told else begin


def run(stage: Stage, options: argparse.Namespace) -> Shown:
    """Load, hear the file and write what was said."""
    sound = samples(options.file)
    with refused(ValueError):
        tokenizer = read_tokenizer(stage.directory)
    path = stage.directory / "generation_config.json"
    if not path.is_file():
        raise DemoError(f"{path}: no such file; it says which tokens a text begins with")
    with refused(ValueError):
        told = json.loads(path.read_bytes())
    begin, config = prompt_of(told, options.language, options.task), stage.config
    slots = min(len(begin) + options.tokens, config.max_position_embeddings)
    never, first = (tuple(told.get(name) or ()) for name in ("suppress_tokens", "begin_suppress_tokens"))
    heard = {"input_features": log_mel(sound, config)}
    description = writer(config, stage.mesh, never=never, never_first=first)
    model = Writer(description, stage.load(), stage.mesh, slots=slots)
    ends = told["eos_token_id"] if isinstance(told["eos_token_id"], list) else [told["eos_token_id"]]

    def timed() -> tuple[list[int], float]:
        begun = time.perf_counter()
        row = model(heard, slots - len(begin) + 1, start=begin, stop=ends, padding=-1)[0]
        return [int(token) for token in row if token >= 0], time.perf_counter() - begun

    _, first_s = timed()
    written, run_s = timed()
    ended = "" if written[-1] in ends else " (not to the end: --tokens)"
    return Shown(
        text=f"{tokenizer.decode(written).strip()}{ended}",
        compile_s=max(0.0, first_s - run_s),
        run_s=run_s,
        run_of=f"{len(sound) / RATE:.1f} s of sound, {len(written)} tokens",
        rate=len(written) / run_s,
        unit="new tokens",
    )


DEMO = Demo(
    summary="Whisper: what was said in a file of sound.",
    variant="whisper-tiny",
    arguments=add_arguments,
    run=run,
)
