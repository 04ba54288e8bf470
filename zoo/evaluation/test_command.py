"""``python -m zoo eval``: questions of a file, asked and judged without any network, the same on every mesh."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zoo
from zoo.__main__ import main
from zoo.evaluation.questions import MARK, read_questions

if TYPE_CHECKING:
    from collections.abc import Sequence

needs_lm_eval = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed: pip install 'pytest-tt[eval]'"
)


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def evaluate(*arguments: Any, output: Path) -> dict[str, Any]:
    """What `main` writes to `output`."""
    assert main(["eval", *map(str, arguments), "--output", str(output)]) == 0
    found: dict[str, Any] = json.loads(output.read_bytes())
    return found


def answers(results: dict[str, Any], kind: str = "resps") -> list[str]:
    """Of each question once, by its number."""
    (samples,) = results["samples"].values()
    first = {sample["doc_id"]: sample for sample in samples if sample.get("filter") in ("flexible-extract", "none")}
    found = [first[number][kind][0] for number in sorted(first)]
    return [answer[0] if isinstance(answer, list) else answer for answer in found]


@needs_lm_eval
@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("meshes", [("1x1", "1x8", "2x4")], ids="-".join)
def test_questions_of_a_file_score_the_same_on_every_mesh(
    meshes: tuple[str, ...], qwen2_5: Path, questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_questions(questions)
    common = ("qwen2_5", "--checkpoint", qwen2_5, "--tokens", 6, "--batch", 4)
    first = evaluate(*common, "--file", questions, "--mesh", meshes[0], output=tmp_path / "first.json")
    (scores,) = first["results"].values()
    assert scores["exact_match,strict-match"] == 0  # it says no "#### "
    numbers = answers(first, "filtered_resps")
    assert all(re.fullmatch(r"[-$0-9.,]+", number) for number in numbers)
    assert len(set(numbers)) > 1

    # Two of the questions get the answers that the model gives.
    right = [
        {**row, "answer": f"{MARK}{number}"} if at in (1, 4) else row
        for at, (row, number) in enumerate(zip(rows, numbers, strict=True))
    ]
    write_lines(questions, right)
    found = {
        mesh: evaluate(*common, "--file", questions, "--mesh", mesh, output=tmp_path / f"{mesh}.json")
        for mesh in meshes
    }
    for results in found.values():
        (scores,) = results["results"].values()
        assert scores["exact_match,flexible-extract"] == pytest.approx(2 / 6)
        assert answers(results) == answers(first)
        assert results["samples"] == found[meshes[0]]["samples"]
    printed = capsys.readouterr().out
    assert re.search(r"gsm8k_file +flexible-extract +exact_match +0\.3333", printed)
    assert "mesh 2x4, 8 simulated chips" in printed
    assert "6 questions, 0 examples before each" in printed


@needs_lm_eval
@pytest.mark.usefixtures("_no_network")
def test_prompts_are_those_of_gsm8k(qwen2_5: Path, questions: Path, tmp_path: Path) -> None:
    rows = read_questions(questions)[:2]
    examples = write_lines(tmp_path / "examples.jsonl", rows)
    short = write_lines(tmp_path / "short.jsonl", [{"question": "1+2?", "answer": f"3 {MARK}3"}] * 3)
    common = ("qwen2_5", "--checkpoint", qwen2_5, "--tokens", 2, "--limit", 2, "--mesh", "1x2")
    plain = evaluate(*common, "--file", questions, output=tmp_path / "out.json")
    assert answers(plain, "arguments") == [f"Question: {row['question']}\nAnswer:" for row in rows]
    shown = evaluate(*common, "--file", short, "--examples", examples, "--shots", 1, output=tmp_path / "out.json")
    one_of_them = "|".join(re.escape(f"Question: {row['question']}\nAnswer: {row['answer']}\n\n") for row in rows)
    for prompt in answers(shown, "arguments"):
        assert re.fullmatch(rf"({one_of_them})Question: 1\+2\?\nAnswer:", prompt)
    chat = evaluate(*common, "--file", short, "--chat", "--system", "sum", output=tmp_path / "out.json")
    assert answers(chat, "arguments") == ["s:sum\nu:Question: 1+2?\nAnswer:\na:"] * 2
    assert chat["n-samples"] == {"gsm8k_file": {"effective": 2, "original": 3}}
    assert answers(chat) != answers(plain)


@needs_lm_eval
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "nothing is asked: name a --task, e.g. gsm8k, or a --file of questions"),
        (["--task", "gsm9k", "--tokens", "2"], "--task gsm9k: lm-eval has no such task"),
        (["--task", "gsm8k", "--examples", "{questions}"], "--examples are for the questions of --file"),
        (["--task", "wikitext", "--file", "{questions}"], "--task wikitext: a --file is asked as one of gsm8k, gsm8k_"),
        (["--file", "nowhere"], "nowhere: cannot be read"),
        (["--file", "{questions}", "--shots", "2"], "2 examples before each question: there are 0"),
        (["--file", "{questions}", "--dtype", "int8"], "tiny-28-4: dtype is 'int8': expected one of bfloat16, float32"),
        (["--file", "{questions}", "--tokens", "64"], "--tokens 64: tiny-28-4 has 64 positions in all"),
        (["--file", "{questions}", "--tokens", "2", "--system", "a"], "--system is for chats"),
        (["--file", "{questions}", "--mesh", "3x3"], "mesh 3x3 is none that qwen2_5 claims"),
        (["--file", "{questions}", "--checkpoint", "nowhere"], "--checkpoint nowhere: no such directory"),
    ],
)
def test_what_is_refused(
    arguments: list[str], text: str, qwen2_5: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint_there = [] if "--checkpoint" in arguments else ["--checkpoint", str(qwen2_5)]
    with pytest.raises(SystemExit) as stopped:
        main(["eval", "qwen2_5", *checkpoint_there, *(part.format(questions=questions) for part in arguments)])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m zoo eval: {text}")


@needs_lm_eval
def test_data_that_cannot_be_fetched(
    qwen2_5: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(**_: Any) -> None:
        raise ConnectionError("Couldn't reach 'openai/gsm8k' on the Hub")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(SystemExit):
        main(["eval", "qwen2_5", "--checkpoint", str(qwen2_5), "--task", "gsm8k", "--tokens", "2"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "--task gsm8k: its data cannot be had (Couldn't reach 'openai/gsm8k' on the Hub)" in line


@needs_lm_eval
def test_a_tokenizer_of_another_checkpoint(
    qwen2_5: Path, gpt2: Path, tmp_path: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in gpt2.iterdir():
        (tmp_path / path.name).write_bytes(
            (qwen2_5 if path.name == "tokenizer.json" else gpt2).joinpath(path.name).read_bytes()
        )
    with pytest.raises(SystemExit):
        main(["eval", "gpt2", "--checkpoint", str(tmp_path), "--file", str(questions), "--tokens", "2"])
    assert "its tokenizer has 131 tokens, the weights have 97" in capsys.readouterr().err
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_bytes((gpt2 / "tokenizer.json").read_bytes())
    with pytest.raises(SystemExit):
        main(["eval", "gpt2", "--checkpoint", str(tmp_path), "--file", str(questions), "--tokens", "2", "--chat"])
    assert "has no chat template: leave --chat out" in capsys.readouterr().err


@needs_lm_eval
def test_importing_needs_no_network() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError(_)\n"
        "socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse\n"
        "import lm_eval.tasks, zoo.evaluation.harness, zoo.evaluation.command\n"
        "lm_eval.tasks.TaskManager()\n"
        "assert 'torch' not in sys.modules, 'torch'\n"
    )
    run_code(code)


def test_help_needs_no_lm_eval_and_starts_nothing() -> None:
    code = (
        "import sys\n"
        "sys.modules['lm_eval'] = None\n"
        "from zoo.__main__ import main\n"
        "try: main(['eval', 'qwen2_5', '--help'])\n"
        "except SystemExit as done: assert not done.code\n"
        "assert main(['eval']) == 0\n"
        "try: main(['eval', 'qwen2_5', '--task', 'gsm8k'])\n"
        "except SystemExit as done: assert done.code == 2\n"
        "else: raise AssertionError('it went on')\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = run_code(code)
    assert "--file FILE" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m zoo eval: lm-eval is not installed (")
    assert line.endswith("pip install 'pytest-tt[eval]'")


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done
