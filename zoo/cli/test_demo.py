"""``python -m zoo run`` before any model runs: names, meshes, checkpoints; and what demos are made of."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from pytest_tt.text import percent, table
from zoo import registry
from zoo.__main__ import main
from zoo.checkpoints.tensor_files import SINGLE, save_checkpoint
from zoo.cli.demo import measured, whole_number
from zoo.cli.stage import bytes_on_fullest_chip
from zoo.text.tokenizer import TokenizerError, read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run ``python -m zoo run`` with arguments that it must refuse: its one line on stderr."""

    def run(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["run", *map(str, arguments)])
        assert stopped.value.code == 2
        told = capsys.readouterr()
        assert told.out == ""
        (line,) = told.err.splitlines()
        assert line.startswith("python -m zoo run")
        return line

    return run


def checkpoint(directory: Path, name: str, variant: str, **changes: Any) -> Path:
    """A made-up one, its config.json with `changes`."""
    model = registry.model(name)
    assert model.checkpoint is not None
    assert model.checkpoint.hub_config is not None
    config = {**model.checkpoint.hub_config(model.config(variant)), **changes}
    save_checkpoint(directory, model.synthetic_checkpoint(variant), config=config)
    return directory


def test_names(refusal: Callable[..., str]) -> None:
    line = refusal("gpt3", "--prompt", "x")
    assert "no such model or variant: gpt3; expected one of bert (bert-base-uncased, " in line
    assert not re.search(r"[( ]tiny", line)  # but whisper-tiny is a published one
    assert "mlp has no demo; these have one: bert, " in refusal("mlp")
    assert "megatron" not in refusal("megatron")
    assert "mlp has no demo" in refusal("megatron")
    assert "tiny is a variant of bert and " in refusal("tiny", "--prompt", "x")
    assert "name the model before --mesh, e.g. python -m zoo run gpt2" in refusal("--mesh", "1x2", "gpt2")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 0
    told = capsys.readouterr().out
    for name in ("bert", "gpt2", "resnet"):
        assert f"  {name} " in told
    assert "gpt2 (gpt2, gpt2-medium, gpt2-large, gpt2-xl)" in told
    with pytest.raises(SystemExit) as stopped:
        main(["run", "gpt2-medium", "--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    for option in ("--mesh", "--backend", "--checkpoint", "--prompt", "--top-p"):
        assert option in told


def test_arguments_of_all(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "argument --mesh: '2y4' is not a mesh: expected ROWSxCOLS" in refusal("bert", "--mesh", "2y4")
    assert "mesh 1x3 is not one that bert claims: expected one of 1x1, 1x2, " in refusal("bert", "--mesh", "1x3")
    assert "invalid choice: 'gpu'" in refusal("bert", "--backend", "gpu")
    assert f"--checkpoint {tmp_path}/a: no such directory" in refusal("bert", "--checkpoint", tmp_path / "a")
    assert f"{tmp_path}/config.json: no such file; it says what" in refusal("bert", "--checkpoint", tmp_path)
    path = checkpoint(tmp_path / "weightless", "bert", "tiny")
    (path / SINGLE).unlink()
    line = refusal("bert", "--checkpoint", path)
    assert f"{path}: expected model.safetensors or model.safetensors.index.json, found neither" in line
    line = refusal("resnet-34", Path(__file__).parents[1] / "resnet" / "golden" / "tiny.safetensors")
    assert "tiny.safetensors: not an image" in line


def test_weights_that_nobody_published(refusal: Callable[..., str], tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((9, 9, 3), np.uint8))
    line = refusal("resnet-34", tmp_path / "image.npy")
    assert line == "python -m zoo run: resnet-34 has no published weights here: name a directory with --checkpoint"


def test_which_variant_a_checkpoint_is_of(refusal: Callable[..., str], tmp_path: Path) -> None:
    medium = {"n_layer": 24, "n_embd": 1024, "n_head": 16, "n_inner": None, "vocab_size": 50257, "n_positions": 1024}
    path = checkpoint(tmp_path / "medium", "gpt2", "tiny", **medium)
    told = refusal("gpt2-large", "--prompt", "x", "--checkpoint", path)
    assert told.endswith(
        f"{path}/config.json: not of gpt2-large: "
        "n_layer is 24, not 36, n_embd is 1024, not 1280, n_head is 16, not 20, n_inner is 4096, not 5120; "
        "it is of gpt2-medium"
    )
    path = checkpoint(tmp_path / "short", "gpt2", "tiny", n_layer=1)
    told = refusal("gpt2", "--prompt", "x", "--checkpoint", path)
    assert "of no variant of gpt2 (tiny, gpt2, " in told
    assert told.endswith("nearest is tiny, but n_layer is 1, not 2")
    told = refusal("gpt2", "--prompt", "x", "--checkpoint", checkpoint(tmp_path / "bert", "bert", "tiny"))
    assert told.endswith("bert/config.json: not of gpt2: model_type is 'bert', not 'gpt2'")
    told = refusal("gpt2-xl", "--prompt", "x", "--checkpoint", tmp_path / "bert")
    assert "bert/config.json: not of gpt2-xl: model_type is 'bert', not 'gpt2'" in told
    (path / "config.json").write_text("{")
    assert f"{path}/config.json: not JSON (" in refusal("gpt2", "--prompt", "x", "--checkpoint", path)
    (path / "config.json").write_text("[]")
    assert f"{path}/config.json: not a JSON object" in refusal("gpt2", "--prompt", "x", "--checkpoint", path)


def test_no_hub(tmp_path: Path) -> None:
    """The real command line, as a user without a network sees it."""
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "zoo", "run", "gpt2", "--prompt", "The capital of France is"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=registry.ROOT.parent,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m zoo run: openai-community/gpt2 at 607a30d783dfa663caf39e06633721c8d4cfcd7e: ")
    assert "is not in the cache and HF_HUB_OFFLINE is set: unset it, or name a directory" in line


def test_tokenizers_that_are_not_there_or_damaged(tmp_path: Path) -> None:
    def make(vocabulary: str, merges: str) -> None:
        raise ValueError(f"{Path(vocabulary).read_text()} and {Path(merges).read_text()}")

    others: dict[tuple[str, ...], Any] = {("vocab.json", "merges.txt"): make}
    with pytest.raises(TokenizerError, match=r"has no tokenizer; expected tokenizer\.json, or vocab\.json with merges"):
        read_tokenizer(tmp_path, others)
    (tmp_path / "vocab.json").write_text("this")
    with pytest.raises(TokenizerError, match="has no tokenizer"):
        read_tokenizer(tmp_path, others)
    (tmp_path / "merges.txt").write_text("that")
    with pytest.raises(TokenizerError, match=r"vocab\.json and .*merges\.txt: not a tokenizer \(this and that\)"):
        read_tokenizer(tmp_path, others)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: not a tokenizer \(EOF while parsing"):
        read_tokenizer(tmp_path, others)


def test_tokenizer_that_was_last_used_to_cut_and_to_pad(tmp_path: Path) -> None:
    """Its file says so, as that of all-MiniLM-L6-v2 does; a prompt is taken whole all the same, and nothing added."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "[PAD]": 2}, unk_token="b"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(pad_id=2, length=6)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("a b a b").ids == [0, 1, 0, 2, 2, 2]
    assert read_tokenizer(tmp_path).encode("a b a b").ids == [0, 1, 0, 1]


def test_settings_beside_a_vocabulary(tmp_path: Path) -> None:
    """Checkpoints of the first years have no tokenizer.json, and say in another file how words are split."""
    from zoo.gpt2.demo import from_vocabulary as of_gpt2
    from zoo.text.wordpiece import from_vocabulary as of_bert

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "A", "\u00e4", "\u00c4", "Ġ", "Ġa"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    (tmp_path / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ a\n")
    files: dict[tuple[str, ...], Any] = {("vocab.txt",): of_bert, ("vocab.json", "merges.txt"): of_gpt2}

    def tokens(name: str, text: str, **settings: Any) -> list[str]:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
        (key,) = [key for key in files if name in key]
        return list(read_tokenizer(tmp_path, {key: files[key]}).encode(text, add_special_tokens=False).tokens)

    assert tokens("vocab.txt", "A \u00c4") == ["a", "a"]
    assert tokens("vocab.txt", "A \u00c4", never_split=[]) == ["a", "a"]
    assert tokens("vocab.txt", "A \u00c4", do_lower_case=False) == ["A", "\u00c4"]
    assert tokens("vocab.txt", "A \u00c4", strip_accents=False) == ["a", "\u00e4"]
    assert tokens("vocab.json", "a") == ["a"]
    assert tokens("vocab.json", "a", add_prefix_space=True) == ["Ġa"]
    with pytest.raises(TokenizerError, match="do_basic_tokenize False, only True is known here"):
        tokens("vocab.txt", "a", do_basic_tokenize=False)
    with pytest.raises(TokenizerError, match="add_bos_token True, only False is known here"):
        tokens("vocab.json", "a", add_bos_token=True)


def test_times() -> None:
    calls: list[int] = []

    def call() -> int:
        calls.append(len(calls))
        return calls[-1]

    found = measured(call, rounds=3)
    assert found.result == 0
    assert calls == [0, 1, 2, 3]
    assert 0 <= found.compile_s <= found.first_s
    measured(call, longest_s=0.0)
    assert calls == [0, 1, 2, 3, 4, 5]


@pytest.mark.tt(mesh="1x4")
def test_bytes_of_the_fullest_chip(tt_mesh: Any) -> None:
    def placed(spec: P) -> Any:
        return jax.device_put(np.zeros((8, 3), np.float32), NamedSharding(tt_mesh, spec))

    tree = {"whole": placed(P()), "spread": placed(P("model"))}
    assert bytes_on_fullest_chip(tree) == 96 + 24
    tree["one"] = jax.device_put(np.zeros(5, np.int8), tt_mesh.devices[0, 2])
    assert bytes_on_fullest_chip(tree) == 96 + 24 + 5
    assert bytes_on_fullest_chip({}) == 0


def test_whole_numbers() -> None:
    assert whole_number(1)("12") == 12
    for text in ("0", "-1", "1.5", "x", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is not a whole number from 1"):
            whole_number(1)(text)


def test_table() -> None:
    assert table([("a", "bb", "c"), ("aaa", "b", "")], right=(1,)) == "a    bb  c\naaa   b"
    assert [percent(value) for value in (1.0, 0.41717, 0.00004)] == ["100.00 %", "41.72 %", "0.00 %"]
