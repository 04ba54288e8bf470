"""Results documents are read strictly: each kind of damage is one line with the file and the place, exit code 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from documents import real_document, real_text, row_of, write

from pytest_tt.cli import main
from pytest_tt.results.reading import DocumentError, read_document
from pytest_tt.results.row import Row
from pytest_tt.results.validation import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says of the document at `path`, which it has to refuse."""
    assert main(["report", str(path)]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.count("\n") == 1
    assert error.startswith(f"pytest-tt report: {path}")
    return error.removeprefix(f"pytest-tt report: {path}").strip()


def test_real_document_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "real.json", real_document())
    document = read_document(path)
    assert [str(key) for key in document.rows][:2] == [
        "test_small.py::test_layers[1x1] [sim t3k 1x1]",
        "test_small.py::test_layers[1x2] [sim t3k 1x2]",
    ]
    assert document.run.system == "t3k"
    assert document.run.start.tzinfo is not None
    row = next(iter(document.rows.values()))
    assert isinstance(row, Row)
    assert {name: value for name, value in row.to_json().items() if value is not None} == {
        name: value for name, value in real_document()["tests"][0].items() if value is not None
    }


def test_document_cut_off_anywhere_is_refused_with_line_and_column(tmp_path: Path) -> None:
    text = real_text().rstrip()
    path = tmp_path / "cut.json"
    for length in range(1, len(text), 61):
        path.write_text(text[:length], encoding="utf-8")
        with pytest.raises(DocumentError) as caught:
            read_document(path)
        place, _, problem = str(caught.value).removeprefix(f"{path}:").partition(": ")
        line, column = map(int, place.split(":"))
        assert text[:length].count("\n") + 1 >= line >= 1 <= column
        assert problem == "the document ends too early: was the file cut off?", text[:length][-40:]


def test_damage_in_the_middle_is_no_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    path.write_text(real_text().replace('"schema": 1,', '"schema": 1', 1), encoding="utf-8")
    assert refusal(path, capsys) == ":3:2: is not JSON: Expecting ',' delimiter"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"[]", "is not a results document", id="a list"),
        pytest.param(b"{}", "is not a results document", id="nothing in it"),
        pytest.param(b'{"schema": 0}', "schema: 0 is older than 1", id="older"),
        pytest.param(b'{"schema": 2, "tests": 7}', "schema: 2 is newer than 1", id="newer"),
        pytest.param(b'{"schema": true}', "schema: expected the number 1, found true", id="no number"),
        pytest.param(b'{"schema": "1"}', 'schema: expected the number 1, found "1"', id="a text"),
        pytest.param(b'{"schema": 1}', "the document: has no 'run'", id="no run"),
        pytest.param(b'{"schema": 1, "a": NaN}', "NaN is not a JSON number", id="NaN"),
        pytest.param(b'{"schema": 1, "a": 1, "a": 2}', "has the key 'a' twice", id="key twice"),
        pytest.param(b'{"schema": 1, "a": "\xff"}', "byte 20: is not UTF-8", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "is not JSON that can be used", id="too deep"),
    ],
)
def test_no_results_document(content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert said in refusal(path, capsys)


def test_places_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(tmp_path, capsys) == ": cannot be read: Is a directory"
    assert refusal(tmp_path / "none.json", capsys) == ": cannot be read: No such file or directory"


def places(value: Any, form: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, container and key of everything in `value` that `form`, a part of the schema, says something about."""
    if "$ref" in form:
        form = PARTS[form["$ref"].removeprefix("#/$defs/")]
    if isinstance(value, dict):
        for key, entry in value.items():
            known = form.get("properties", {}).get(key, form.get("additionalProperties"))
            if known is not None:
                below = (
                    f"{place}.{key}"
                    if key.replace("_", "a").isalnum() and not key[0].isdigit()
                    else f'{place}["{key}"]'
                )
                yield below.lstrip("."), value, key
                yield from places(entry, known, below)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield f"{place}[{index}]".lstrip("."), value, index
            yield from places(entry, form["items"], f"{place}[{index}]")


PARTS = schema()["$defs"]
WRONG: dict[type, Any] = {str: 5, int: "5", float: True, bool: 1, dict: [], list: {}}


@pytest.mark.parametrize(("part", "form"), [("tests[1]", PARTS["row"]), ("run", PARTS["run"])])
def test_each_wrong_type_is_named_with_its_place(part: str, form: Any, tmp_path: Path) -> None:
    document = real_document()
    root = document["run"] if part == "run" else document["tests"][1]
    path, tried = tmp_path / "a.json", 0
    for place, container, key in list(places(root, form)):
        right = container[key]
        if right is None:
            continue
        container[key] = WRONG[type(right)]
        write(path, document)
        container[key] = right
        with pytest.raises(DocumentError) as caught:
            read_document(path)
        assert f"{path}: {part}.{place}: expected " in str(caught.value)
        assert str(caught.value).endswith(f", found {json.dumps(WRONG[type(right)])}")
        tried += 1
    assert tried > (40 if part != "run" else 10)


@pytest.mark.parametrize("field", PARTS["row"]["required"])
def test_each_missing_field_is_named(field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = real_document()
    del document["tests"][2][field]
    assert refusal(write(tmp_path / "a.json", document), capsys) == f": tests[2]: has no '{field}'"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (
            "outcome",
            "ok",
            'tests[1].outcome: expected one of passed, failed, skipped, xfailed, xpassed, rerun, found "ok"',
        ),
        ("phase", "link", "tests[1].phase: expected one of setup, trace, compile, execute, compare"),
        ("mesh", "1x", 'tests[1].mesh: expected a mesh such as 1x8, found "1x"'),
        ("bytes_per_chip", -1, "tests[1].bytes_per_chip: expected a whole number from 0, found -1"),
        ("bytes_per_chip", 1.5, "tests[1].bytes_per_chip: expected a whole number from 0, found 1.5"),
        ("collectives", {"all-reduce": None}, 'tests[1].collectives["all-reduce"]: expected a whole number from 0'),
        ("work", {"tokens": 0}, "tests[1].work.tokens: expected a whole number from 1, found 0"),
        ("run", 3, "tests[1].run: expected the place of one of the 1 runs, counted from 0, found 3"),
        ("shardings", [{"axes": None, "arrays": ["x"]}], "tests[1].shardings[0].arrays[0]: expected an array such as"),
        (
            "placements",
            [
                {
                    "axes": {"x": 2},
                    "arrays": [{"name": "w", "count": 1, "dtype": "int8", "shape": [4, 2], "spec": [["x"]]}],
                }
            ],
            'tests[1].placements[0].arrays[0].spec: expected 2 entries, one for each dimension, found [["x"]]',
        ),
        (
            "collectives",
            {"a.b[0] {x}": -1},
            'tests[1].collectives["a.b[0] {x}"]: expected a whole number from 0, found -1',
        ),
        ("mesh", "64x64", 'tests[1].mesh: expected a mesh such as 1x8, found "64x64"'),
        ("system", ["x" * 80], 'tests[1].system: expected a text, found ["' + "x" * 55 + "..."),
    ],
)
def test_wrong_values(field: str, value: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = real_document()
    document["tests"][1][field] = value
    assert said in refusal(write(tmp_path / "a.json", document), capsys)


def test_wrong_key_and_wrong_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = real_document()
    leaf = document["tests"][1]["metrics"]["small"]["leaves"]["logits"]
    leaf["errors"]["-2222"] = 1
    assert refusal(write(tmp_path / "a.json", document), capsys) == (
        ": tests[1].metrics.small.leaves.logits.errors: expected a power of ten, equal or not finite as a key, found "
        '"-2222"'
    )
    document = real_document()
    document["run"]["start"] = "yesterday"
    assert refusal(write(tmp_path / "a.json", document), capsys) == (
        ': run.start: expected a time such as 2026-08-01T12:00:00+00:00, found "yesterday"'
    )


def test_numbers_of_json_are_of_one_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON tells 2.0 and 2 not apart, and Python's reader takes 1e999 for infinity."""
    document = real_document()
    document["tests"][1]["bytes_per_chip"] = 2.0
    (row,) = (
        row for key, row in read_document(write(tmp_path / "a.json", document)).rows.items() if "[1x2]" in str(key)
    )
    assert repr(row.bytes_per_chip) == "2"
    path = tmp_path / "b.json"
    path.write_text(json.dumps(document).replace('"bytes_per_chip": 2.0', '"bytes_per_chip": 1e999'), encoding="utf-8")
    assert refusal(path, capsys) == ": is not JSON that can be used: 1e999 is larger than any number that can be used"


def test_documents_from_before_the_optional_facts_are_read(tmp_path: Path) -> None:
    document = real_document()
    for row in document["tests"]:
        del row["placements"], row["shardings"], row["work"]
        for case in row["metrics"].values():
            del case["leaves"]
    assert len(read_document(write(tmp_path / "a.json", document)).rows) == 7


def test_what_a_later_version_adds_is_kept_and_ignored(tmp_path: Path) -> None:
    document = real_document()
    document["tests"][0]["weather"] = "fine"
    assert read_document(write(tmp_path / "a.json", document)).raw["tests"][0]["weather"] == "fine"


def test_test_twice_is_refused_unless_on_another_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = real_document()
    document["tests"].append({**row_of(document, "test_scaled"), "system": "galaxy"})
    path = write(tmp_path / "a.json", document)
    assert len(read_document(path).rows) == 8
    document["tests"][-1]["system"] = "t3k"
    assert refusal(write(path, document), capsys) == (
        ": tests[7].nodeid: test_small.py::test_scaled [sim t3k 1x2] is in the document already, as tests[3]: expected "
        "each test once"
    )
