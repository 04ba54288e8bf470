"""The back-test: its cases, and the table that the recorded predictions make.

That the predictions are what the installed compiler says is checked by `python -m benchmarks.backtest`, in nox's
session compiler.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.verdicts import REFUSED, Record

ROOT = Path(__file__).parents[1]
PREDICTED = Record.read(ROOT / "benchmarks/recorded_outcomes/predicted.json").verdicts

# In a process of its own: the programs import jax.
ASK = """
import json
from benchmarks.backtest import confusion, prediction
from benchmarks.recorded_outcomes.cases import CASES, cases_for
from benchmarks.recorded_outcomes.case import CLASSES
from benchmarks.verdicts import Record, Verdict
from pathlib import Path
record = Record.read(Path("benchmarks/recorded_outcomes/predicted.json"))
predicted = record.verdicts
print(json.dumps({
    "cases": {name: case.recorded for name, case in cases_for(record.jax).items()},
    "all": len(CASES),
    "classes": CLASSES,
    "predictions": {name: prediction(verdict) for name, verdict in predicted.items()},
    "table": confusion(predicted),
    "of_one": confusion({"abs[float32-32]": Verdict("refused", "no lowering", "stablehlo.abs")}),
}))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_there_are_cases_of_every_class(told: dict[str, Any]) -> None:
    counts = Counter(told["cases"].values())
    assert set(counts) == set(told["classes"])
    assert counts.total() >= 150
    assert told["all"] > counts.total()
    assert min(counts.values()) >= 5


def test_every_case_has_a_prediction(told: dict[str, Any]) -> None:
    assert sorted(told["cases"]) == sorted(PREDICTED)


def test_nothing_that_passes_is_refused(told: dict[str, Any]) -> None:
    """The claim of the documentation: a refusal can be trusted."""
    passing = [name for name, recorded in told["cases"].items() if recorded == "passes"]
    assert len(passing) >= 300
    assert [name for name in passing if PREDICTED[name].outcome == REFUSED] == []


def test_the_page_shows_the_table(told: dict[str, Any]) -> None:
    page = (ROOT / "docs/simulation.md").read_text(encoding="utf-8")
    assert told["table"] in page
    ((cases, more),) = re.findall(r"for (\d+) of these records \((\d+) more", page)
    assert int(cases) == len(told["cases"])
    assert int(cases) + int(more) == told["all"]


def test_the_page_says_what_the_table_says(told: dict[str, Any]) -> None:
    page = " ".join((ROOT / "docs/simulation.md").read_text(encoding="utf-8").split())
    counts = Counter((told["cases"][name], predicted) for name, predicted in told["predictions"].items())
    total = Counter(told["cases"][name] for name in told["predictions"])
    passes, failures = total["passes"], total["compile failure"]
    refused, upstream = (counts["compile failure", column] for column in ("refused", "upstream refuses"))
    claims = (
        f"of {passes} programs whose tests pass, this build refuses none, and none does not fit",
        f"{counts['passes', 'taken']} of those {passes} are taken by both verdicts",
        f"so are {counts['runtime failure', 'taken']} of {total['runtime failure']} runtime failures",
        f"and {counts['wrong numbers', 'taken']} of {total['wrong numbers']} wrong results",
        f"Of {failures} recorded compile failures this build still refuses {refused}",
        f"the list of upstream names {upstream} more",
        f"{counts['out of memory', 'does not fit']} of {total['out of memory']} programs that ran out of DRAM do not",
    )
    assert [claim for claim in claims if claim not in page] == []
    assert counts["passes", "refused"] == counts["passes", "does not fit"] == 0
    passing = [name for name, predicted in told["predictions"].items() if predicted == "upstream refuses"]
    odd = [name for name in passing if told["cases"][name] == "passes"]
    assert all("scalar argument" in PREDICTED[name].upstream for name in odd)


def test_the_table_counts(told: dict[str, Any]) -> None:
    rows = {line[:40].strip(): re.findall(r"\d+|-(?= |$)", line[40:]) for line in told["table"].splitlines()[1:]}
    counts = Counter((told["cases"][name], predicted) for name, predicted in told["predictions"].items())
    for recorded, (total, *row) in rows.items():
        columns = ("refused", "does not fit", "upstream refuses", "taken")
        assert [int(cell.replace("-", "0")) for cell in row] == [counts[recorded, column] for column in columns]
        assert int(total) == sum(counts[recorded, column] for column in columns)
    assert "passes" in told["of_one"]
    assert re.search(r"passes +1 +1 +- +- +-", told["of_one"])
