"""Makes one results document of many: of shards, of runners, or of a run and the rerun of its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.results.document import SCHEMA
from pytest_tt.results.reading import DocumentError, read_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pytest_tt.results.reading import Document, Key
    from pytest_tt.results.row import Row


def join_rows(documents: Sequence[Document], *, rerun: bool = False) -> dict[Key, Row]:
    """Every test's row, once. Raises DocumentError as `merge_documents` does."""
    return {key: document.rows[key] for key, (document, _) in _choose(documents, rerun).items()}


def merge_documents(documents: Sequence[Document], *, rerun: bool = False) -> dict[str, Any]:
    """One document's plain JSON: every test's row once, in the order of `documents`.

    ``run`` keeps what all runs have in common, null where they differ; ``start`` is the earliest, ``duration_s``
    the sum. ``runs`` lists the runs themselves, and each row's ``run`` says which of them it is from.
    Raises DocumentError for a test that two documents have on the same backend, system and mesh, unless their rows are
    equal in every field (one document given twice); with `rerun` the row of the run that started later counts.
    """
    runs: list[dict[str, Any]] = []
    for document in documents:
        runs += [run for run in document.runs if run not in runs]
    tests = [
        {**entry, "run": runs.index(document.runs[entry.get("run", 0)])}
        for document, entry in _choose(documents, rerun).values()
    ]
    return {"schema": SCHEMA, "run": _common(runs), "runs": runs, "tests": tests}


def _choose(documents: Sequence[Document], rerun: bool) -> dict[Key, tuple[Document, dict[str, Any]]]:
    chosen: dict[Key, tuple[Document, dict[str, Any]]] = {}
    for document in documents:
        for key, entry in zip(document.rows, document.raw["tests"], strict=True):
            other, before = chosen.setdefault(key, (document, entry))
            if _facts(before) == _facts(entry):
                continue
            if not rerun:
                raise DocumentError(
                    f"{document.path}: tests[{list(document.rows).index(key)}].nodeid: {key} is in {other.path} too, "
                    "with other facts: expected each test in one document; if one is a rerun, `pytest-tt merge "
                    "--rerun` keeps the later row"
                )
            if _start(document, entry) >= _start(other, before):
                chosen[key] = (document, entry)
    return chosen


def _start(document: Document, entry: dict[str, Any]) -> datetime:
    return read_time(document.runs[entry.get("run", 0)]["start"])


def _facts(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "run"}


def _common(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    common = _same(runs)
    common["versions"] = _same([run["versions"] for run in runs])
    common["start"] = min((run["start"] for run in runs), key=read_time)
    common["duration_s"] = round(sum(run["duration_s"] for run in runs), 3)
    return common


def _same(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Each key with the value that all `objects` have, None where they differ."""
    first = objects[0]
    names = dict.fromkeys(name for each in objects for name in each)
    return {
        name: first.get(name) if all(each.get(name) == first.get(name) for each in objects) else None for name in names
    }
