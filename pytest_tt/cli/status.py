"""`pytest-tt status`: what is known of tests that fail, and since when."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from datetime import date

    from pytest_tt.status.entry import Status

NAME = "status"
HELP = "List the entries of tt_status.toml, and say which are old"

_COLUMNS = ("place", "what", "tests", "since", "days", "reason")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE",
        help="Status file (default: PYTEST_TT_STATUS_FILE, tt_status_file in pyproject.toml, or tt_status.toml)",
    )  # fmt: skip
    parser.add_argument(
        "--older-than", type=_days, default=90, metavar="DAYS", help="Which entries count as old (default: 90)"
    )
    parser.add_argument("--json", action="store_true", help="Print JSON with all fields")


def run(arguments: argparse.Namespace) -> int:
    """Print the entries. Returns 0, or 2 where the file cannot be used."""
    from datetime import date

    from pytest_tt.cli.table import table_lines
    from pytest_tt.cli.unusable import refuse
    from pytest_tt.status.file import StatusError, read_statuses

    try:
        file = read_statuses(*_find(arguments.file))
    except StatusError as error:
        return refuse(NAME, error)
    today = date.today()
    if arguments.json:
        entries = [_fields(entry, today, arguments.older_than) for entry in file.entries]
        print(json.dumps({"file": file.shown, "older_than_days": arguments.older_than, "entries": entries}, indent=2))
        return 0
    if file.entries:
        rows = [_row(entry, today, arguments.older_than) for entry in file.entries]
        print("\n".join(table_lines(_COLUMNS, rows, right={"days"})))
    old = sum(_is_old(entry, today, arguments.older_than) is True for entry in file.entries)
    undated = sum(entry.since is None for entry in file.entries)
    more = f", {undated} without a date" if undated else ""
    count = f"{len(file.entries)} entr{'y' if len(file.entries) == 1 else 'ies'}"
    print(f"{file.shown}: {count}, {old} older than {arguments.older_than} days{more}")
    return 0


def _days(text: str) -> int:
    import argparse

    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days: expected a whole number from 0, e.g. 90")
    return int(text)


def _find(given: str | None) -> tuple[Path, str]:
    """Where the status file is, and how to call it. Raises StatusError where pyproject.toml cannot be read."""
    import tomllib

    from pytest_tt.status.file import FILE_NAME, StatusError

    name = given or os.environ.get("PYTEST_TT_STATUS_FILE")
    if name:
        return Path(name).expanduser(), name
    project = Path("pyproject.toml")
    try:
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
        name = tool.get("pytest", {}).get("ini_options", {}).get("tt_status_file")
    except FileNotFoundError:
        name = None
    except (OSError, ValueError, AttributeError) as error:
        raise StatusError(f"{project}: cannot be used ({error}): fix it, or name the status file") from None
    return Path(name or FILE_NAME), str(name or FILE_NAME)


def _age(entry: Status, today: date) -> int | None:
    return None if entry.since is None else (today - entry.since).days


def _is_old(entry: Status, today: date, limit: int) -> bool | None:
    """None where the entry has no date."""
    age = _age(entry, today)
    return None if age is None else age > limit


def _row(entry: Status, today: date, limit: int) -> tuple[str, ...]:
    age = _age(entry, today)
    days = "-" if age is None else f"{age}{' old' if _is_old(entry, today, limit) else ''}"
    what = entry.outcome or ", ".join(f"{name} {value:g}" for name, value in entry.bounds.items())
    return (entry.place, what, entry.about, "-" if entry.since is None else str(entry.since), days, entry.because)


def _fields(entry: Status, today: date, limit: int) -> dict[str, Any]:
    return {
        "place": entry.place,
        "model": list(entry.model),
        "variant": list(entry.variant),
        "tests": list(entry.tests),
        "mesh": [str(mesh) for mesh in entry.mesh],
        "system": list(entry.system),
        "backend": entry.backend,
        "outcome": entry.outcome,
        "bounds": dict(entry.bounds),
        "reason": entry.reason,
        "issue": entry.issue,
        "since": None if entry.since is None else str(entry.since),
        "age_days": _age(entry, today),
        "old": _is_old(entry, today, limit),
    }
