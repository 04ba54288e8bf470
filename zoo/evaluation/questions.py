"""Your own questions in the format of GSM8K: a file of JSON lines, asked and scored as lm-eval does for GSM8K."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TASKS = ("gsm8k", "gsm8k_cot", "gsm8k_cot_zeroshot", "gsm8k_cot_llama")
"""lm-eval's tasks that can take their questions from a file."""

MARK = "#### "
"""What precedes the number that is the answer."""


class QuestionsError(ValueError):
    """A file without questions in this format; the text is one line that names the file and the line."""


def read_questions(path: Path) -> list[dict[str, str]]:
    """Each line's ``question`` and ``answer``, which ends with ``#### `` and a number. QuestionsError for others."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionsError(f"{path}: cannot be read ({error}); expected a file of JSON lines") from None
    questions = list(_parsed(path, lines))
    if not questions:
        raise QuestionsError(f"{path}: is empty; expected lines like {_example()}")
    return questions


def _parsed(path: Path, lines: Sequence[str]) -> Iterator[dict[str, str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise QuestionsError(f"{path}, line {number}: not JSON ({error}); expected {_example()}") from None
        if not isinstance(found, dict):
            found = {}
        question, answer = found.get("question"), found.get("answer")
        if not isinstance(question, str) or not isinstance(answer, str) or not question.strip():
            raise QuestionsError(f"{path}, line {number}: expected {_example()}")
        if not any(letter.isdigit() for letter in answer.rpartition(MARK)[2]) or MARK not in answer:
            raise QuestionsError(f"{path}, line {number}: the answer must end with {MARK!r} and a number")
        yield {"question": question, "answer": answer}


def _example() -> str:
    return '{"question": "…", "answer": "… #### 18"}'


def write_task(
    directory: Path,
    base: Path,
    name: str,
    questions: Sequence[dict[str, str]],
    examples: Sequence[dict[str, str]] = (),
    *,
    shots: int | None = None,
) -> Path:
    """A task for lm-eval, as a file in `directory`: the task of the file `base`, with these `questions`.

    examples: those shown before each question, `shots` of them (default: as many as the task shows, at most all).
    Without `examples`, those of the task's file are shown, if it has any. QuestionsError for more shots than examples.
    """
    import yaml

    splits = {"test": questions, **({"train": examples} if examples else {})}
    files = {}
    for split, rows in splits.items():
        path = directory / f"{split}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files[split] = str(path)
    task: dict[str, Any] = {
        "include": str(base),
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": files, "cache_dir": str(directory / "cache")},
        "test_split": "test",
        "training_split": "train" if examples else None,
        "fewshot_split": "train" if examples else None,
    }
    if examples:
        task["fewshot_config"] = None
    known = yaml.safe_load(base.read_text(encoding="utf-8"))
    most = len(examples) if examples else len((known.get("fewshot_config") or {}).get("samples", ()))
    if shots is not None and shots > most:
        raise QuestionsError(f"{shots} examples before each question: there are {most}")
    task["num_fewshot"] = min(known.get("num_fewshot") or 0, most) if shots is None else shots
    file = directory / f"{name}.yaml"
    file.write_text(json.dumps(task, indent=2) + "\n")  # JSON is YAML
    return file
