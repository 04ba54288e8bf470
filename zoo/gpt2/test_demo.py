"""``python -m zoo run gpt2``, on a made-up checkpoint with a tokenizer of its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest

from zoo.__main__ import main
from zoo.checkpoints.tensor_files import SINGLE, save_checkpoint
from zoo.gpt2.demo import END, from_vocabulary
from zoo.gpt2.model import GPT2, TINY
from zoo.gpt2.params import hub_config, synthetic_checkpoint, synthetic_params
from zoo.gpt2.reference import generation, prompts
from zoo.registry import SLOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VOCABULARY = [*map(chr, range(33, 127)), "Ġ", "th", END]
"""As many tokens as the tiny variant has; Ġ is what byte-level tokenizers make of a space."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A checkpoint with vocab.json and merges.txt, in which no token ends a text."""
    save_checkpoint(tmp_path, synthetic_checkpoint(TINY), config={**hub_config(TINY), "eos_token_id": None})
    (tmp_path / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(VOCABULARY)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nt h\n")
    return tmp_path


@pytest.fixture
def run(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Lines that the command prints."""

    def call(*arguments: str) -> list[str]:
        capsys.readouterr()
        assert main(["run", "gpt2", "--checkpoint", str(directory), *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return call


def tokenizer(directory: Path) -> Any:
    return from_vocabulary(str(directory / "vocab.json"), str(directory / "merges.txt"))


def next_probabilities(prompt: list[int]) -> np.ndarray:
    """Of every token, computed on the host by one pass over the prompt."""
    row = np.array([prompt], np.int32)
    with jax.default_device(jax.devices("cpu")[0]):
        places = np.arange(len(prompt), dtype=np.int32)[None]
        logits = jax.jit(GPT2(TINY).apply)(synthetic_params(TINY), row, np.ones_like(row), places)
        return np.asarray(jax.nn.softmax(logits[0, -1]))


@pytest.mark.tt(mesh=["1x1", "1x8", "2x4"])
def test_next_tokens_and_continuation(
    run: Callable[..., list[str]], directory: Path, tt_run: Any, tt_golden: Any
) -> None:
    """The continuation is what transformers' generate gives."""
    prompt, mesh, reader = prompts()[0], str(tt_run.mesh), tokenizer(directory)
    found = run("--prompt", reader.decode(prompt), "--tokens", "24", "--top", "3", "--mesh", mesh)
    assert found[0] == "next token  probability"
    best = next_probabilities(prompt)
    if tt_run.backend == "sim":
        for line, token in zip(found[1:4], np.argsort(-best)[:3], strict=True):
            text, share, sign = line.rsplit(maxsplit=2)
            assert (text, sign) == (repr(reader.decode([int(token)])), "%")
            assert float(share) == pytest.approx(100 * best[token], abs=0.006)
        expected = tt_golden.load("generation", reference=generation).outputs["greedy"][0]
        assert found[4:9] == [
            "",
            "always the likeliest, 24 tokens:",
            "",
            reader.decode([*prompt, *expected.tolist()]),
            "",
        ]
    rows = dict(line.split(maxsplit=1) for line in found[9:])
    assert list(rows) == ["model", "weights", "chips", "parameters", "load", "compile", "run", "speed"]
    assert rows["model"] == "gpt2, tiny"
    assert rows["weights"] == str(directory)
    assert rows["chips"].startswith(f"mesh {mesh}, ")
    assert ("simulated" in rows["chips"]) == ("simulated" in rows["speed"]) == (tt_run.backend != "hw")
    if mesh == "1x1":  # with the head's bias of zeros
        assert rows["parameters"] == f"{4 * (17976 + 97 + 1) / 1e3:.1f} kB per chip"
    assert rows["run"].endswith(f"(median; the first token after a prompt of {len(prompt)})")


@pytest.mark.tt
@pytest.mark.skipif(not os.environ.get(SLOW), reason="takes long: set ZOO_SLOW=1, as nox's session slow does")
def test_drawing_and_stopping(run: Callable[..., list[str]], directory: Path, tt_golden: Any, tt_run: Any) -> None:
    prompt = prompts()[0]
    given = ("--prompt", tokenizer(directory).decode(prompt), "--tokens", "24")
    drawn = [run(*given, "--seed", seed, "--temperature", "2", "--top-k", "90")[7:10] for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][0] == "drawn with temperature 2, top-k 90, seed 1, 24 tokens:"
    likeliest = run(*given)[9]
    assert run(*given, "--top-k", "1")[9] == likeliest
    if tt_run.backend == "sim":
        golden = tt_golden.load("generation", reference=generation)
        stop = int(golden.inputs["stop"][0])
        expected = golden.outputs["stopped"][0].tolist()
        expected = expected[: expected.index(stop) + 1]
        for name, tokens in (("config.json", stop), ("generation_config.json", [3, stop])):
            (directory / name).write_text(json.dumps({**hub_config(TINY), "eos_token_id": tokens}))
            found = run(*given)
            assert found[7] == f"always the likeliest, {len(expected)} tokens up to the end of the text:"
            assert found[9] == tokenizer(directory).decode([*prompt, *expected])


@pytest.mark.tt
def test_tokenizer_json_is_as_good(run: Callable[..., list[str]], directory: Path) -> None:
    first = run("--prompt", "the <|endoftext|> th", "--tokens", "1")
    reader = tokenizer(directory)
    assert reader.encode("the <|endoftext|> th").ids == [95, VOCABULARY.index("e"), 94, 96, 94, 95]
    reader.save(str(directory / "tokenizer.json"))
    for name in ("vocab.json", "merges.txt"):
        (directory / name).unlink()
    assert run("--prompt", "the <|endoftext|> th", "--tokens", "1")[:10] == first[:10]


# transformers 5.0 itself reads a vocabulary in a way that tokenizers has deprecated.
@pytest.mark.filterwarnings("ignore:Deprecated in 0.9.0:DeprecationWarning")
def test_as_transformers_tokenizes(directory: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2Tokenizer(str(directory / "vocab.json"), str(directory / "merges.txt"))
    for text in ("the cat's path, th the\n th", "<|endoftext|>the ~tt  hh", "a1 b22"):
        assert tokenizer(directory).encode(text).ids == theirs(text)["input_ids"]


def test_what_is_refused(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refusal(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["run", "gpt2", "--checkpoint", str(directory), *arguments])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "the following arguments are required: --prompt" in refusal()
    assert "--prompt is empty: expected some text" in refusal("--prompt", "")
    assert "--prompt 'é' has no tokens" in refusal("--prompt", "é")
    assert "argument --tokens: '0' is not a whole number from 1" in refusal("--prompt", "a", "--tokens", "0")
    assert "temperature is 0.0: expected a number above 0" in refusal("--prompt", "a", "--temperature", "0")
    assert "top_p is 2.0" in refusal("--prompt", "a", "--top-p", "2")
    assert "--top 98: there are 97 tokens" in refusal("--prompt", "a", "--top", "98")
    told = refusal("--prompt", "a" * 30)
    assert told.endswith("a prompt of 30 tokens and 20 new ones: tiny has 48 positions; shorten the prompt or --tokens")
    (directory / "vocab.json").write_text(json.dumps({"a": 1, "b": 97}))
    (directory / "merges.txt").write_text("#version: 0.2\n")
    assert "its tokenizer gives token 97, the weights have 0 to 96" in refusal("--prompt", "ab")
    (directory / "merges.txt").unlink()
    assert f"{directory}: has no tokenizer; expected tokenizer.json, or vocab.json" in refusal("--prompt", "a")


@pytest.mark.tt
def test_damaged_checkpoint(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = directory / SINGLE
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SystemExit) as stopped:
        main(["run", "gpt2", "--checkpoint", str(directory), "--prompt", "a"])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m zoo run: {path}: truncated, ")
