"""Reads results documents, strictly: what is not as `document.py` writes it is refused with its place in the file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pytest_tt.results.document import SCHEMA
from pytest_tt.results.row import Row
from pytest_tt.results.validation import MismatchError, check, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# What can be left of a word, a number or an escape where a file was cut off.
_BROKEN_OFF = re.compile(r"|tr?u?|fa?l?s?|nu?l?|-|\.|[eE][+-]?|\\?u?[0-9a-fA-F]{0,3}")


class DocumentError(ValueError):
    """A file is not a results document that this version can use; the text is one line: file, place, what to do."""


class Key(NamedTuple):
    """What tells rows apart: the same test may run on several systems and, unpinned, on several meshes."""

    nodeid: str
    backend: str | None
    system: str | None
    mesh: str | None

    @property
    def where(self) -> str:
        """Where the test ran, e.g. ``hw t3k 1x8``."""
        return " ".join(part for part in self[1:] if part is not None)

    def __str__(self) -> str:
        return f"{self.nodeid} [{self.where}]"


@dataclass(frozen=True, slots=True)
class Run:
    """A document's facts about its run. None: not known, or not the same in all that were merged."""

    versions: dict[str, str | None]
    backend: str | None
    system: str | None
    chips: int | None
    commit: str | None
    start: datetime
    """In UTC."""
    duration_s: float


@dataclass(frozen=True, slots=True)
class Document:
    """A results document as it was read."""

    path: Path
    run: Run
    rows: dict[Key, Row]
    raw: dict[str, Any]
    """The JSON text as plain types, with what this version does not know; ``tests`` in the order of `rows`."""

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The raw ``run`` of each run that the document holds: one, or as many as were merged."""
        return self.raw.get("runs") or [self.raw["run"]]


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """The documents at `paths`, in that order. Raises DocumentError."""
    return [read_document(path) for path in paths]


def read_document(path: Path) -> Document:
    """The document at `path`. Raises DocumentError that names the file and the place in it."""
    raw = _load(path)
    if not isinstance(raw, dict) or "schema" not in raw:
        raise DocumentError(
            f"{path}: is not a results document: expected what --tt-results writes, {{'schema': {SCHEMA}, …"
        )
    _check_schema(path, raw["schema"])
    try:
        check(raw)
    except MismatchError as error:
        raise DocumentError(f"{path}: {error}") from None
    document = Document(path, _run(raw["run"]), _rows(path, raw["tests"]), raw)
    for index, entry in enumerate(raw["tests"]):
        _check_specs(path, index, entry)
        if entry.get("run", 0) >= len(document.runs):
            raise DocumentError(
                f"{path}: tests[{index}].run: expected the place of one of the {len(document.runs)} runs, counted from "
                f"0, found {entry['run']}"
            )
    return document


def key_of(row: Row) -> Key:
    """What tells `row` apart from others."""
    return Key(row.nodeid, row.backend, row.system, row.mesh)


def _load(path: Path) -> Any:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: byte {error.start}: is not UTF-8 text: expected a results document") from None
    if not text.strip():
        raise DocumentError(f"{path}: is empty: expected a results document; did the run end before it wrote any?")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated") or _BROKEN_OFF.fullmatch(text[error.pos :].strip())
        what = "the document ends too early: was the file cut off?" if cut else f"is not JSON: {error.msg}"
        raise DocumentError(f"{path}:{error.lineno}:{error.colno}: {what}") from None
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path}: is not JSON that can be used: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _number(text: str) -> float:
    """A number with a point or an exponent; 2.0 is the whole number 2 in JSON, whose numbers are of one kind."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is larger than any number that can be used")
    return int(number) if number.is_integer() else number


def _check_specs(path: Path, index: int, entry: dict[str, Any]) -> None:
    """Raise DocumentError for an array whose spec has not an entry for each dimension, which the schema cannot say."""
    for at, group in enumerate(entry.get("placements") or ()):
        for number, array in enumerate(group["arrays"]):
            if array["spec"] is not None and len(array["spec"]) != len(array["shape"]):
                raise DocumentError(
                    f"{path}: tests[{index}].placements[{at}].arrays[{number}].spec: expected {len(array['shape'])} "
                    f"entries, one for each dimension, found {shown(array['spec'])}"
                )


def _check_schema(path: Path, schema: Any) -> None:
    if type(schema) is not int:
        raise DocumentError(f"{path}: schema: expected the number {SCHEMA}, found {json.dumps(schema)}")
    if schema < SCHEMA:
        raise DocumentError(
            f"{path}: schema: {schema} is older than {SCHEMA}, the one that this pytest-tt reads: run the tests again "
            "with --tt-results"
        )
    if schema > SCHEMA:
        raise DocumentError(
            f"{path}: schema: {schema} is newer than {SCHEMA}, the one that this pytest-tt reads: update pytest-tt"
        )


def read_time(text: str) -> datetime:
    """The moment that an ISO 8601 text names, in UTC; a text without a zone is taken to be in UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _run(raw: dict[str, Any]) -> Run:
    return Run(
        versions=raw["versions"],
        backend=raw["backend"],
        system=raw["system"],
        chips=raw["chips"],
        commit=raw["commit"],
        start=read_time(raw["start"]),
        duration_s=float(raw["duration_s"]),
    )


def _rows(path: Path, raw: list[dict[str, Any]]) -> dict[Key, Row]:
    names = [field.name for field in fields(Row)]
    rows: dict[Key, Row] = {}
    for index, entry in enumerate(raw):
        row = Row(**{name: entry[name] for name in names if name in entry})
        key = key_of(row)
        if key in rows:
            first = list(rows).index(key)
            raise DocumentError(
                f"{path}: tests[{index}].nodeid: {key} is in the document already, as tests[{first}]: expected each "
                "test once"
            )
        rows[key] = row
    return rows
