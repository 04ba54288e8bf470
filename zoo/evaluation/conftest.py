"""Tiny language models with tokenizers of their own, and questions."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.evaluation.questions import MARK
from zoo.gpt2.params import hub_config as gpt2_config
from zoo.gpt2.params import synthetic_checkpoint as gpt2_checkpoint
from zoo.qwen2_5.model import CONFIGS
from zoo.qwen2_5.params import hub_config, synthetic_checkpoint
from zoo.registry import model

if TYPE_CHECKING:
    from pathlib import Path

LETTERS = ["Q", "u", "e", "s", "t", "i", "o", "n", ":", "A", "w", "r", "h", "m", "a", "y", "+", "?", "=", "Ġ", "Ċ"]
DIGITS = [*"0123456789"]
END = "<|end|>"

TEMPLATE = (
    "{% for message in messages %}{{ message.role[0] }}:{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}"
)

SUMS = [(1, 2), (3, 4), (10, 5), (7, 7), (20, 30), (1, 1)]
QUESTIONS = [{"question": f"how many is {a}+{b}?", "answer": f"{a}+{b}={a + b} {MARK}{a + b}"} for a, b in SUMS]


def write_tokenizer(directory: Path, vocab: int) -> None:
    """Letters, digits, pairs of digits up to `vocab` tokens, and one that ends a text: random tokens are numbers."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    pairs = [(first, second) for first in DIGITS for second in DIGITS][: vocab - len(LETTERS) - len(DIGITS) - 1]
    texts = [*LETTERS, *DIGITS, *map("".join, pairs), END]
    assert len(texts) == vocab
    tokenizer = Tokenizer(models.BPE({text: number for number, text in enumerate(texts)}, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END, special=True)])
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": vocab - 1}))
    facts = {"chat_template": TEMPLATE, "eos_token": {"content": END}}
    (directory / "tokenizer_config.json").write_text(json.dumps(facts))


@pytest.fixture(scope="module")
def qwen2_5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the smallest Qwen2.5 with a tokenizer."""
    directory, config = tmp_path_factory.mktemp("qwen"), CONFIGS["tiny-28-4"]
    write_tokenizer(directory, config.vocab_size)
    save_checkpoint(directory, synthetic_checkpoint(config), config=hub_config(config))
    return directory


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for GPT-2."""
    directory, config = tmp_path_factory.mktemp("gpt2"), model("gpt2").config("tiny")
    write_tokenizer(directory, config.vocab_size)
    facts = {**gpt2_config(config), "eos_token_id": None, "bos_token_id": None}
    save_checkpoint(directory, gpt2_checkpoint(config), config=facts)
    return directory


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """A file of six questions."""
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in QUESTIONS))
    return path


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make every look-up and call of another machine fail."""

    def refuse(*address: Any, **others: Any) -> Any:
        raise AssertionError(f"network: {address}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
