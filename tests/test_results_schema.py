"""The published JSON Schema of results documents: sound by itself, and what runs and `merge` write fits it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from documents import real_document, write

from pytest_tt.cli import main
from pytest_tt.results.row import PHASES, Row
from pytest_tt.results.validation import MismatchError, backends, check, schema
from pytest_tt.targets.choice import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Change = Callable[[dict[str, Any]], None]


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the schema."""
    if isinstance(value, dict):
        yield value
        for entry in value.values():
            yield from parts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from parts(entry)


def test_what_is_written_fits(tmp_path: Path) -> None:
    """That of a run and a merged one; test_results.py checks every document of its runs too."""
    check(real_document())
    path, merged = write(tmp_path / "a.json", real_document()), tmp_path / "merged.json"
    assert main(["merge", str(path), "-o", str(merged)]) == 0
    document = json.loads(merged.read_text(encoding="utf-8"))
    assert {"runs", "tests"} <= document.keys()
    check(document)


def test_the_schema_knows_every_field_of_a_row() -> None:
    row = schema()["$defs"]["row"]
    names = {each.name for each in fields(Row)}
    assert row["properties"].keys() == names | {"run"}
    assert set(row["required"]) == names - {"placements", "shardings", "work", "layers", "card"}, (
        "those that came later may be absent"
    )
    assert tuple(row["properties"]["phase"]["enum"]) == PHASES
    assert backends() == tuple(KINDS)


def test_each_value_says_what_is_expected() -> None:
    """The reader's error lines say it in these words."""
    inner = {"items", "properties", "additionalProperties"}
    leaves = [part for part in parts(schema()["$defs"]) if part.keys() & {"type", "enum"} and not part.keys() & inner]
    assert len(leaves) > 40
    assert [part for part in leaves if "title" not in part] == []


CHANGES: dict[str, Change] = {
    "no schema": lambda document: document.pop("schema"),
    "another schema": lambda document: document.update(schema=2),
    "runs": lambda document: document.update(runs={}),
    "chips": lambda document: document["run"].update(chips=0),
    "flag for a number": lambda document: document["run"].update(duration_s=True),
    "outcome": lambda document: document["tests"][0].update(outcome="ok"),
    "no nodeid": lambda document: document["tests"][0].pop("nodeid"),
    "timing": lambda document: document["tests"][0]["timing"].update(test_s=-1),
    "axes": lambda document: document["tests"][0]["placements"][0].update(axes={"x": 0}),
    "spec": lambda document: document["tests"][0]["placements"][0]["arrays"][0].update(spec=["x"]),
    "decade": lambda document: leaf_of(document)["errors"].update({"a few": 1}),
    "leaf": lambda document: leaf_of(document).update(shape=[1.5]),
}


def leaf_of(document: dict[str, Any]) -> dict[str, Any]:
    leaf: dict[str, Any] = document["tests"][0]["metrics"]["small"]["leaves"]["logits"]
    return leaf


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_implementation_agrees(change: Change) -> None:
    """Ours implements older drafts: a library for draft 2020-12 takes and refuses the same."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())
    other = jsonschema.Draft202012Validator(schema())
    document = real_document()
    other.validate(document)
    change(document)
    assert not other.is_valid(document)
    with pytest.raises(MismatchError):
        check(document)


def test_a_run_needs_neither_validator_nor_templates(pytester: pytest.Pytester) -> None:
    """They are for the commands that read documents and make pages."""
    pytester.makepyfile("def test_a(tt_run): pass")
    code = (
        "import sys\n"
        "sys.modules['fastjsonschema'] = sys.modules['jinja2'] = None  # whoever imports them fails\n"
        "import pytest\n"
        "sys.exit(pytest.main(['-p', 'pytest_tt', '-p', 'no:html', '--tt-results', 'r.json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    check(json.loads((pytester.path / "r.json").read_text(encoding="utf-8")))
