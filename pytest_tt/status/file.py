"""Reading ``tt_status.toml``. Every mistake is one line: the place, what was expected, what to do."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pytest_tt.status.entry import Status
from pytest_tt.targets.choice import KINDS
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.text import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILE_NAME = "tt_status.toml"
TABLE = "status"
KEYS = (
    "model", "variant", "tests", "mesh", "system", "backend", "outcome", "bounds", "reason", "issue", "since",
)  # fmt: skip
OUTCOMES = ("xfail", "skip")

_HEAD = re.compile(r"\s*\[\[\s*status\s*\]\]\s*(#.*)?")


class StatusError(ValueError):
    """The status file cannot be used; the text is one line: place, what was expected, what to do."""


@dataclass(frozen=True, slots=True)
class StatusFile:
    """The entries of a status file, in order."""

    path: Path
    shown: str
    """How messages name the file."""
    entries: tuple[Status, ...]


def read_statuses(path: Path, shown: str | None = None) -> StatusFile:
    """The statuses at `path`, which messages call `shown`. Raises StatusError."""
    shown = str(path) if shown is None else shown
    try:
        text = path.read_bytes().decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise StatusError(f"{shown}: cannot be read ({error.strerror}): expected a file of [[status]] tables") from None
    except UnicodeDecodeError as error:
        raise StatusError(f"{shown}: byte {error.start} is not UTF-8 text: expected TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise StatusError(f"{shown}: is not TOML: {error}") from None
    for key in document:
        if key != TABLE:
            raise StatusError(f"{shown}: {key!r} is not read{nearest(key, [TABLE])}: expected [[status]] tables only")
    tables = document.get(TABLE, [])
    if not isinstance(tables, list):
        raise StatusError(f"{shown}: [status] is one table: write [[status]], with two brackets, before each entry")
    blocks = _blocks(text, tables)
    entries = []
    for index, (table, block) in enumerate(zip(tables, blocks, strict=True)):
        line, lines = (None, ()) if block is None else block
        place = f"{shown}:{line}" if line is not None else f"{shown}: entry {index + 1}"
        if not isinstance(table, dict):
            raise StatusError(f"{place}: expected a [[status]] table, found {table!r}")
        entries.append(_entry(table, place, lines))
    return StatusFile(path, shown, tuple(entries))


def _blocks(text: str, tables: Sequence[Any]) -> list[tuple[int, tuple[str, ...]] | None]:
    """Line number and lines of each entry; None if they cannot be found (a table in a multi-line string, say)."""
    lines = text.split("\n")
    heads = [index for index, line in enumerate(lines) if _HEAD.fullmatch(line.rstrip("\r"))]
    if len(heads) != len(tables):
        return [None] * len(tables)
    blocks: list[tuple[int, tuple[str, ...]] | None] = []
    for table, start, end in zip(tables, heads, [*heads, len(lines)][1:], strict=True):
        while end > start and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1
        block = "\n".join(lines[start:end])
        try:
            same = tomllib.loads(block)[TABLE] == [table]
        except tomllib.TOMLDecodeError:
            same = False
        blocks.append((start + 1, tuple(line.rstrip("\r") for line in lines[start:end])) if same else None)
    return blocks


def _entry(table: Mapping[str, Any], place: str, lines: tuple[str, ...]) -> Status:
    for key in table:
        if key not in KEYS:
            raise StatusError(
                f"{place}: {key!r} is not a key of a status{nearest(key, KEYS)}: expected some of {', '.join(KEYS)}"
            )
    try:
        entry = Status(
            place=place,
            lines=lines,
            model=_texts(table, "model"),
            variant=_texts(table, "variant"),
            tests=_texts(table, "tests"),
            mesh=tuple(MeshShape.parse(text) for text in _texts(table, "mesh")),
            system=tuple(_system(text) for text in _texts(table, "system")),
            backend=_choice(table, "backend", tuple(KINDS)),
            outcome=_choice(table, "outcome", OUTCOMES),
            bounds=_bounds(table),
            reason=_text(table, "reason") or "",
            issue=_text(table, "issue"),
            since=_since(table),
        )
    except ValueError as error:
        raise StatusError(f"{place}: {error}") from None
    if not entry.reason:
        raise StatusError(f'{place}: has no reason: say why, e.g. reason = "gather of a sharded embedding"')
    if not entry.model and not entry.tests:
        raise StatusError(f'{place}: names no test: give model = "NAME" or tests = ["FILE::NAME"], globs allowed')
    if entry.variant and not entry.model:
        raise StatusError(f"{place}: has a variant, but no model: name the model too")
    if (entry.outcome is None) == (not entry.bounds):
        which = "neither an outcome nor bounds" if entry.outcome is None else "both an outcome and bounds"
        raise StatusError(f'{place}: gives {which}: expected outcome = "xfail" or "skip", or bounds = {{pcc = 0.98}}')
    return entry


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key)
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"{key}: expected a text or a list of texts, found {value!r}")
    for text in texts:
        if texts.count(text) > 1:
            raise ValueError(f"{key}: {text!r} is listed twice; name it once")
    return tuple(texts)


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key}: expected a text, found {value!r}")
    return " ".join(value.split())


def _choice(table: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str | None:
    value = table.get(key)
    if value is None or value in choices:
        return value
    *others, last = choices
    expected = " or ".join(filter(None, [", ".join(others), last]))
    raise ValueError(f"{key}: {value!r} is unknown{nearest(str(value), choices)}: expected {expected}")


def _system(text: str) -> str:
    from pytest_tt.targets.systems import get_system

    return get_system(text).name


def _since(table: Mapping[str, Any]) -> date | None:
    value = table.get("since")
    if value is None:
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            value = date.fromisoformat(value)
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(f"since: expected a date such as 2026-08-21, found {value!r}")
    if value > date.today() + timedelta(days=1):  # one day more, because of time zones
        raise ValueError(f"since: {value} is in the future: expected the day on which the entry was written")
    return value


def _bounds(table: Mapping[str, Any]) -> dict[str, float]:
    value = table.get("bounds")
    if value is None:
        return {}
    if not isinstance(value, dict) or not value:
        raise ValueError(f"bounds: expected a table such as {{pcc = 0.98}}, found {value!r}")
    from pytest_tt.compare.bounds import METRICS, Bounds

    for key in value:
        if key not in METRICS:
            raise ValueError(
                f"bounds: {key!r} is not a metric{nearest(key, METRICS)}: expected some of {', '.join(METRICS)}"
            )
    try:
        return Bounds(**value).given()
    except ValueError as error:
        raise ValueError(f"bounds: {error}") from None
