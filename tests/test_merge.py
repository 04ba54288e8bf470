"""`pytest-tt merge`: shards, runners and reruns become one document with every row once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from documents import real_document, row_of, write

from pytest_tt.cli import main
from pytest_tt.results.reading import read_document

if TYPE_CHECKING:
    from pathlib import Path


def merge(*arguments: Path | str, to: Path) -> dict[str, Any]:
    """What `pytest-tt merge` makes of documents; it has to succeed."""
    assert main(["merge", *map(str, arguments), "-o", str(to)]) == 0
    read_document(to)
    merged: dict[str, Any] = json.loads(to.read_text(encoding="utf-8"))
    return merged


def refused(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> str:
    assert main(["merge", *map(str, arguments)]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.count("\n") == 1
    return error


def without_run(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "run"} for row in rows]


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """The real document as three shards that ran one after the other."""
    paths = []
    for index in range(3):
        document = real_document()
        document["tests"] = document["tests"][index::3]
        document["run"]["start"] = f"2026-08-01T1{index}:00:00+00:00"
        document["run"]["duration_s"] = 1.5
        paths.append(write(tmp_path / f"shard-{index}.json", document))
    return paths


def test_shards_make_the_whole(shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merged = merge(*shards, to=tmp_path / "all.json")
    assert capsys.readouterr().out == (
        f"{tmp_path / 'all.json'}: 7 tests of 3 runs (1 failed, 4 passed, 1 skipped, 1 xfailed)\n"
    )
    whole = sorted(real_document()["tests"], key=lambda row: row["nodeid"])
    assert sorted(without_run(merged["tests"]), key=lambda row: row["nodeid"]) == whole
    assert [row["run"] for row in merged["tests"]] == [0, 0, 0, 1, 1, 2, 2]
    run = real_document()["run"]
    assert merged["run"] == {**run, "start": "2026-08-01T10:00:00+00:00", "duration_s": 4.5}
    assert [run["start"][11:13] for run in merged["runs"]] == ["10", "11", "12"]


def test_merging_in_steps_is_the_same(shards: list[Path], tmp_path: Path) -> None:
    at_once = merge(*shards, to=tmp_path / "all.json")
    merge(*shards[:2], to=tmp_path / "two.json")
    assert merge(tmp_path / "two.json", shards[2], to=tmp_path / "steps.json") == at_once
    assert merge(tmp_path / "all.json", *shards, to=tmp_path / "again.json") == at_once


def test_runners_differ(tmp_path: Path) -> None:
    here, there = real_document(), real_document()
    there["run"] |= {"system": "galaxy", "chips": 32, "start": "2026-08-01T12:00:00+02:00"}
    there["run"]["versions"]["jax"] = "0.6.0"  # not the one that runs this
    here["run"]["start"] = "2026-08-01T11:00:00+00:00"
    for row in there["tests"]:
        row["system"] = "galaxy"
    merged = merge(write(tmp_path / "a.json", here), write(tmp_path / "b.json", there), to=tmp_path / "all.json")
    assert len(merged["tests"]) == 14
    assert (merged["run"]["system"], merged["run"]["chips"], merged["run"]["backend"]) == (None, None, "sim")
    assert merged["run"]["versions"]["jax"] is None
    assert merged["run"]["versions"]["pytest"] == here["run"]["versions"]["pytest"]
    assert merged["run"]["start"] == "2026-08-01T12:00:00+02:00", "earlier than 11:00 UTC"


def test_same_test_with_other_facts_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write(tmp_path / "a.json", real_document()), real_document()
    row_of(second, "test_scaled")["outcome"] = "passed"
    path = write(tmp_path / "b.json", second)
    error = refused(capsys, first, path, "-o", tmp_path / "all.json")
    assert error.startswith(f"pytest-tt merge: {path}: tests[3].nodeid: test_small.py::test_scaled [sim t3k 1x2] is in")
    assert "--rerun" in error
    assert not (tmp_path / "all.json").exists()


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_rerun_the_later_row_counts(turned: bool, tmp_path: Path) -> None:
    first, second = real_document(), real_document()
    second["tests"] = [row_of(second, "test_scaled")]
    second["tests"][0] |= {"outcome": "passed", "reason": None}
    second["run"]["start"] = "2999-01-01T00:00:00+00:00"
    paths = [write(tmp_path / "a.json", first), write(tmp_path / "b.json", second)]
    merged = merge(*(reversed(paths) if turned else paths), "--rerun", to=tmp_path / "all.json")
    assert len(merged["tests"]) == 7
    row = row_of(merged, "test_scaled")
    assert (row["outcome"], merged["runs"][row["run"]]["start"]) == ("passed", "2999-01-01T00:00:00+00:00")


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "a.json", real_document())
    (tmp_path / "cut.json").write_text('{"schema": 1', encoding="utf-8")
    (tmp_path / "file").touch()
    old = tmp_path / "old.json"
    old.write_text("old", encoding="utf-8")
    assert "cut.json:1:13: the document ends too early" in refused(capsys, good, tmp_path / "cut.json", "-o", old)
    assert old.read_text(encoding="utf-8") == "old"
    assert "file/all.json: cannot be written: " in refused(capsys, good, "-o", tmp_path / "file" / "all.json")
    assert refused(capsys, good, "-o", tmp_path).endswith("cannot be written: Is a directory\n")
