"""README.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_tt.config import OPTIONS, Option
from pytest_tt.fixtures import FIXTURES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table_rows(first_cell: str) -> list[str]:
    """Lines of README.md's tables that begin with a cell matching `first_cell`."""
    return re.findall(rf"^\| {first_cell}.*$", README, re.MULTILINE)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_in_the_table_with_its_other_names(option: Option) -> None:
    (row,) = table_rows(f"`{option.flag}[` ]")
    assert f"`{option.env}`" in row
    assert f"`{option.ini}`" in row


def test_the_options_table_has_nothing_else() -> None:
    assert len(table_rows("`--tt-")) == len(OPTIONS)


def test_every_fixture_is_in_the_table() -> None:
    fixtures = {re.split("`", row)[1] for row in table_rows("`[a-z_]+` ")}
    assert fixtures == FIXTURES


def test_the_two_commands() -> None:
    assert re.findall(r"^pip install -e .* && .*$", README, re.MULTILINE) == [
        'pip install -e ".[zoo]" && pytest -p pytest_tt --tt-mesh 1x2 zoo',
        'pip install -e ".[dev]" && pytest',
    ]


def test_the_example_runs_as_shown(pytester: pytest.Pytester) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^\$ pytest -v test_dense.py\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    pytester.makepyfile(test_dense=example)
    result = pytester.runpytest_subprocess("-p", "pytest_tt", "-v", "--tt-results", "facts.json", "test_dense.py")
    for test in re.findall(r"^test_dense\S+ PASSED", shown, re.MULTILINE):
        assert test in result.stdout.str()
    result.assert_outcomes(passed=shown.count(" PASSED "))
    facts = json.loads((pytester.path / "facts.json").read_text(encoding="utf-8"))
    for row in facts["tests"]:
        assert row["collectives"] == {"all-reduce": 1}
        assert f"{row['bytes_per_chip']:,}" in README


def test_links_lead_somewhere() -> None:
    targets = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_model_of_the_zoo_is_in_the_table() -> None:
    models = {path.parent.name for path in (ROOT / "zoo").glob("*/README.md")}
    assert models == {re.split(r"[\[\]]", row)[1] for row in table_rows(r"\[\w+\]\(zoo/")}
