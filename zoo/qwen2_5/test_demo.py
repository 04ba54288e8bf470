"""``python -m zoo run``: answers and continuations by Qwen2.5, on made-up checkpoints with a tokenizer of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from zoo.__main__ import main
from zoo.checkpoints.tensor_files import save_checkpoint
from zoo.qwen2_5.model import CONFIGS
from zoo.qwen2_5.params import hub_config, synthetic_checkpoint
from zoo.qwen2_5.reference import REFERENCE
from zoo.text.chat import ChatError, chat_text, pieces
from zoo.text.tokenizer import read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = CONFIGS["tiny-28-4"]

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

PAIRS = ["th", *(f"Q{letter}" for letter in map(chr, range(97, 123)))]

VOCABULARY = [*map(chr, range(33, 127)), *"ĊĠÃ©âĤ¬", *PAIRS, *SPECIAL]
"""As many tokens as the tiny variants have; Ċ and Ġ are line feed and space, the five behind them bytes of é and €."""

TEMPLATE = """\
{%- if messages[0].role != 'system' %}{{ '<|im_start|>system\\nbe brief<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
    {%- if message.role not in ('system', 'user', 'assistant') %}{{ raise_exception('no such role') }}{% endif %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
"""Written for these tests in the form of ChatML, which the Instruct models use."""

MESSAGES = [{"role": "user", "content": "hi {{ 1 + 1 }}"}, {"role": "assistant", "content": '"yes"'}]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A checkpoint with tokenizer.json, tokenizer_config.json and two tokens that end a text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    assert len(VOCABULARY) == CONFIG.vocab_size
    numbers = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(numbers, [(pair[0], pair[1]) for pair in PAIRS]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    facts = {"chat_template": TEMPLATE, "eos_token": SPECIAL[2], "tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(facts))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [130, 128]}))
    save_checkpoint(tmp_path, synthetic_checkpoint(CONFIG), config=hub_config(CONFIG))
    return tmp_path


@pytest.fixture
def run(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Lines that the command prints."""

    def call(*arguments: str) -> list[str]:
        capsys.readouterr()
        assert main(["run", "qwen2_5", "--checkpoint", str(directory), *arguments]) == 0
        return capsys.readouterr().out.split("\n")

    return call


@pytest.mark.tt(mesh=["1x8", "2x4"])
def test_text_is_written_as_it_comes(
    run: Callable[..., list[str]], directory: Path, tt_run: Any, tt_golden: Any
) -> None:
    """On one mesh by the axis model, on the other over all chips: the text that transformers' generate gives."""
    prompt, mesh, reader = REFERENCE.prompts(CONFIG)[0], str(tt_run.mesh), read_tokenizer(directory)
    assert reader.encode(reader.decode(prompt)).ids == prompt
    given = ("--prompt", reader.decode(prompt), "--mesh", mesh, "--top", "2")
    spread = ("--spread", "all") if mesh == "2x4" else ()
    found = run(*given, *spread, "--tokens", "16")
    assert found[0].split() == ["next", "token", "probability"]
    if tt_run.backend == "sim":
        golden = tt_golden.load("generation-28-4", reference=lambda: REFERENCE.generation("tiny-28-4"))
        expected = golden.outputs["greedy"][0].tolist()
        assert "\n".join(found).split("\n\n")[1] == reader.decode(expected)
        assert found[1].split()[0] == repr(reader.decode(expected[:1]))
    table = "\n".join(found).rsplit("\n\n", 1)[1]
    rows = dict(line.split(maxsplit=1) for line in table.splitlines())
    assert list(rows) == [
        "model",
        "weights",
        "chips",
        "parameters",
        "load",
        "compile",
        "run",
        "tokens",
        "cache",
        "speed",
    ]
    assert rows["tokens"] == "16"
    assert rows["cache"].endswith("per chip, 32 positions")
    assert rows["run"].endswith(f"(median; the first token after a prompt of {len(prompt)})")


@pytest.mark.tt
def test_chat(run: Callable[..., list[str]], directory: Path) -> None:
    """The template makes another prompt of the message; bfloat16 halves what lies on the chip, and rounds."""
    plain = run("--prompt", "hi", "--tokens", "1")
    assert not any(line.startswith(("not applied", "rounded")) for line in plain)
    settings = {"eos_token_id": [130, 128], "do_sample": True, "repetition_penalty": 1.05, "top_k": 20}
    (directory / "generation_config.json").write_text(json.dumps(settings))
    chat = run("--prompt", "hi", "--tokens", "1", "--chat")
    briefed = run("--prompt", "hi", "--tokens", "1", "--chat", "--system", "be brief", "--dtype", "bfloat16")
    assert plain[:7] != chat[:7]
    assert any(line.split() == ["parameters", "1.95", "MB", "per", "chip"] for line in chat)
    assert any(line.split() == ["parameters", "980", "kB", "per", "chip"] for line in briefed)
    (line,) = [line for line in briefed if line.startswith("not applied")]
    assert line.split(maxsplit=2)[2].startswith(
        "do_sample True, repetition_penalty 1.05, top_k 20 (by the checkpoint's"
    )
    assert ["rounded", "float32", "to", "bfloat16"] in [line.split() for line in briefed]
    length = len(read_tokenizer(directory).encode(chat_text(directory, [{"role": "user", "content": "hi"}])).ids)
    assert any(line.endswith(f"after a prompt of {length})") for line in chat)
    assert any(line.endswith(f"after a prompt of {length})") for line in briefed)  # the template says the same


@pytest.mark.tt
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--prompt", ""), "--prompt is empty"),
        (("--prompt", "hi", "--system", "x"), "--system is for chats, and tiny-28-4 continues texts"),
        (("--prompt", "hi" * 40), "has 64 positions"),
    ],
)
def test_what_cannot_be_run(
    arguments: tuple[str, ...], text: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "qwen2_5", "--checkpoint", str(directory), *arguments])
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_template_is_rendered_as_transformers_does(directory: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    for reply in (True, False):
        expected = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=reply)
        assert chat_text(directory, MESSAGES, reply=reply) == expected
    assert "hi {{ 1 + 1 }}" in chat_text(directory, MESSAGES)


def test_templates_by_name_in_a_file_and_none(directory: Path) -> None:
    path = directory / "tokenizer_config.json"
    expected = chat_text(directory, MESSAGES)
    several = [{"name": "tools", "template": "no"}, {"name": "default", "template": TEMPLATE}]
    path.write_text(json.dumps({"chat_template": several}))
    assert chat_text(directory, MESSAGES) == expected
    path.write_text("{}")
    with pytest.raises(ChatError, match="has no chat template"):
        chat_text(directory, MESSAGES)
    path.write_text("[]")
    with pytest.raises(ChatError, match="not a JSON object"):
        chat_text(directory, MESSAGES)
    path.unlink()
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    assert chat_text(directory, MESSAGES) == expected
    with pytest.raises(ChatError, match="refuses this: no such role"):
        chat_text(directory, [{"role": "judge", "content": "?"}])
    (directory / "chat_template.jinja").write_text("{% for %}")
    with pytest.raises(ChatError, match="refuses this"):
        chat_text(directory, MESSAGES)


WRITTEN_OUT = """\
{%- for message in messages %}
    {%- set own = message.role == 'assistant' %}
    {%- if own %}{% generation %}{{ message.content }}{% endgeneration %}{% continue %}{% endif %}
    {{- message | tojson(ensure_ascii=true, separators=(',', ':'), sort_keys=true) }}{{ message | tojson(indent=2) }}
{%- endfor %}
{{- [tools is none, documents is defined, cls_token, eos_token, dict(a=1) | tojson] | join(' ') }}
{%- if add_generation_prompt %}{{ '<|im_start|>' }}{% endif %}
"""
"""What templates of other models use."""


def test_templates_with_all_that_transformers_knows(directory: Path) -> None:
    from transformers import AutoTokenizer

    config = directory / "tokenizer_config.json"
    facts = {**json.loads(config.read_text()), "chat_template": WRITTEN_OUT, "cls_token": SPECIAL[0]}
    config.write_text(json.dumps(facts))
    tokenizer = AutoTokenizer.from_pretrained(directory)
    messages = [{"role": "user", "content": 'é & "<b>"'}, {"role": "assistant", "content": "ü"}]
    for reply in (True, False):
        found = chat_text(directory, messages, reply=reply)
        assert found == tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=reply)
    assert r'{"content":"\u00e9 & \"<b>\"","role":"user"}' in found
    assert '\n  "content": "é & \\"<b>\\""\n' in found
    assert found.endswith(f'üTrue True {SPECIAL[0]} {SPECIAL[2]} {{"a": 1}}')


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 1 // 0 }}", "fails on this (ZeroDivisionError: "),
        ("{{ messages[0].content.nothing.here }}", "refuses this: 'str object' has no attribute 'nothing'"),
        ("{{ nowhere.at.all }}", "refuses this: 'nowhere' is undefined"),
        ("{{ messages[0]['content'] + 1 }}", "fails on this (TypeError: "),
        ("{{ 'x'.index('y') }}", "fails on this (ValueError: substring not found)"),
        ("{{ range(10 ** 9) | list }}", "fails on this (OverflowError: "),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "fails on this (RecursionError: "),
        (
            "{{ messages.__class__.__mro__ }}",
            "refuses this: access to attribute '__class__' of 'list' object is",
        ),
        ("{{ raise_exception('first\nsecond') }}", "refuses this: first second"),
        ("{% generation %}", "refuses this: "),
        ("{{ messages | nonsense }}", "refuses this: No filter named 'nonsense'."),
    ],
)
def test_errors_inside_a_template(directory: Path, template: str, text: str) -> None:
    (directory / "chat_template.jinja").write_text(template)
    with pytest.raises(ChatError) as failure:
        chat_text(directory, MESSAGES)
    assert f"{directory}: its chat template {text}" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_template_that_is_not_text(directory: Path) -> None:
    (directory / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(ChatError, match=r"chat_template\.jinja: not text in UTF-8"):
        chat_text(directory, MESSAGES)


def test_letters_of_several_tokens_come_whole(directory: Path) -> None:
    tokenizer = read_tokenizer(directory)
    text = "a é€ b"
    ids = tokenizer.encode(text).ids
    assert len(ids) > len(text)
    found = list(pieces(tokenizer, [*ids, 130]))
    assert "".join(found) == text
    assert "é" in found
    assert "€" in found
