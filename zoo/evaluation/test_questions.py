"""Files of questions: what is read from them, and the task that is made of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from zoo.evaluation.questions import QuestionsError, read_questions, write_task

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = [{"question": f"what is {number}?", "answer": f"#### {number}"} for number in range(6)]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is empty; expected lines like"),
        ("\n\n", "is empty; expected lines like"),
        ("{", "line 1: not JSON"),
        ("[]", "line 1: expected {"),
        ('{"question": "a"}', "line 1: expected {"),
        ('{"question": " ", "answer": "#### 1"}', "line 1: expected {"),
        ('{"question": "a", "answer": 1}', "line 1: expected {"),
        ('{"question": "a", "answer": "1"}', "line 1: the answer must end with '#### ' and a number"),
        ('\n{"question": "a", "answer": "#### none"}', "line 2: the answer must end with '#### ' and a number"),
    ],
)
def test_files_without_questions(content: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(content)
    with pytest.raises(QuestionsError, match=f"^{re.escape(str(path))}.*{re.escape(text)}"):
        read_questions(path)


def test_other_keys_and_empty_lines_are_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "é", "answer": "so #### 1,800", "source": 3}\n\n')
    assert read_questions(path) == [{"question": "é", "answer": "so #### 1,800"}]


@pytest.mark.parametrize(
    ("base", "examples", "shots", "expected"),
    [
        ({"num_fewshot": 5}, 0, None, 0),
        ({"num_fewshot": 5}, 3, None, 3),
        ({"num_fewshot": 5}, 8, None, 5),
        ({"num_fewshot": 5}, 8, 8, 8),
        ({"num_fewshot": 8, "fewshot_config": {"samples": [{}] * 8}}, 0, None, 8),
        ({"num_fewshot": 8, "fewshot_config": {"samples": [{}] * 8}}, 0, 2, 2),
        ({"num_fewshot": 0}, 4, None, 0),
        ({"num_fewshot": 5}, 8, 9, None),
    ],
)
def test_how_many_examples(
    base: dict[str, Any], examples: int, shots: int | None, expected: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "base.yaml"
    path.write_text(json.dumps(base))

    def make() -> Path:
        return write_task(tmp_path, path, "mine", QUESTIONS, (QUESTIONS * 2)[:examples], shots=shots)

    if expected is None:
        with pytest.raises(QuestionsError, match="9 examples before each question: there are 8"):
            make()
    else:
        assert json.loads(make().read_text())["num_fewshot"] == expected
