"""`pytest-tt matrix`: which tests go to which runner, as a GitHub Actions matrix."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.cli.command import Command, UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_tt.ci.matrix.planning import Entry
    from pytest_tt.ci.matrix.settings import MatrixSettings


_COLUMNS = ("runs-on", "job", "tests", "minutes", "pytest options")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="Files and folders with tests (default: as pytest without arguments)"
    )
    parser.add_argument("--json", action="store_true", help='Print one line of JSON: {"include": [...]}')
    parser.add_argument(
        "--write", type=Path, metavar="DIR",
        help="Write the node ids of each entry to DIR/ID.txt; its arguments then say @DIR/ID.txt",
    )  # fmt: skip
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument(
        "--shards", type=_parsed("parse_shards"), metavar="N",
        help="Split the tests of each mesh into N parts of near equal time",
    )  # fmt: skip
    parts.add_argument(
        "--max-minutes", type=_parsed("parse_minutes"), metavar="M",
        help="Split the tests of each mesh into parts that take at most M minutes",
    )  # fmt: skip
    parser.add_argument(
        "--durations", type=Path, action="append", default=[], metavar="FILE",
        help="Results document that says how long tests take; can be repeated (a test without record: the median)",
    )  # fmt: skip
    parser.add_argument(
        "--label", type=_parsed("parse_label"), action="append", default=[], metavar="SYSTEM=LABEL[,LABEL]",
        help="Runner labels of a system, or of cpu: tests that need no chips; can be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--system", type=_parsed("parse_system"), action="append", default=[], metavar="MESH=SYSTEM",
        help="System for the tests of a mesh (default: the smallest that holds it); can be repeated",
    )  # fmt: skip
    parser.add_argument("--select", default="", metavar="ARGS", help="More arguments for collecting, e.g. '-k gpt2'")
    parser.add_argument("--args", metavar="ARGS", help="More pytest arguments in every entry, e.g. --args=--tt-isolate")
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="TOML file with the table [tool.pytest-tt.matrix] (default: pyproject.toml, if it has one)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the matrix. Returns 0."""
    from pytest_tt.ci.matrix.collecting import MatrixError, collect
    from pytest_tt.ci.matrix.planning import plan, read_durations
    from pytest_tt.ci.matrix.settings import read_settings
    from pytest_tt.results.reading import DocumentError, read_documents

    try:
        config = arguments.config or Path("pyproject.toml")
        settings = _override(read_settings(config, required=arguments.config is not None), arguments)
        durations = read_durations(read_documents(arguments.durations))
        tests = collect([*_words(arguments.select, "--select"), *arguments.paths])
        entries = plan(tests, settings, durations)
        include = [entry.to_json(_name_tests(entry, arguments.write)) for entry in entries]
    except (MatrixError, DocumentError) as error:
        raise UnusableError(error) from None
    except OSError as error:
        raise UnusableError(f"--write {arguments.write}: cannot be written: {error.strerror}") from None
    print(json.dumps({"include": include}) if arguments.json else "\n".join(_table(entries, include)))
    return 0


def _parsed(name: str) -> Callable[[str], Any]:
    """The parser `name` of matrix.settings, imported at use, with its errors as argparse shows them."""

    def convert(text: str) -> Any:
        from pytest_tt.ci.matrix import settings

        try:
            return getattr(settings, name)(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _override(settings: MatrixSettings, arguments: argparse.Namespace) -> MatrixSettings:
    settings = settings.with_labels(dict(arguments.label)).with_systems(dict(arguments.system))
    if arguments.shards is not None:
        settings = replace(settings, shards=arguments.shards, max_minutes=None)
    if arguments.max_minutes is not None:
        settings = replace(settings, max_minutes=arguments.max_minutes)
    if arguments.args is not None:
        settings = replace(settings, args=(*settings.args, *_words(arguments.args, "--args")))
    return settings


def _words(text: str, option: str) -> list[str]:
    """The words of a shell's line. Raises MatrixError."""
    from pytest_tt.ci.matrix.collecting import MatrixError

    try:
        return shlex.split(text)
    except ValueError as error:
        raise MatrixError(f"{option}: {text!r} is not a list of words: {error}") from None


def _name_tests(entry: Entry, folder: Path | None) -> Sequence[str]:
    """The arguments that name the tests of `entry`: themselves, or the file below `folder` that lists them."""
    names = [test.argument for test in entry.tests]
    if folder is None:
        return names
    from pytest_tt.files import write_atomically

    path = folder / f"{entry.id}.txt"
    write_atomically(path, "".join(f"{name}\n" for name in names))
    return [f"@{path}"]


def _table(entries: Sequence[Entry], include: Sequence[dict[str, Any]]) -> list[str]:
    from pytest_tt.text import table

    rows = []
    for entry, facts in zip(entries, include, strict=True):
        minutes = "-" if facts["minutes"] is None else f"{facts['minutes']:.2f}"
        rows.append((", ".join(entry.labels), entry.name, str(facts["tests"]), minutes, shlex.join(entry.options)))
    count = sum(len(entry.tests) for entry in entries)
    total = f"{count} test{'s' * (count != 1)} in {len(entries)} job{'s' * (len(entries) != 1)}"
    return [table([_COLUMNS, *rows], right=(2, 3)), total]


COMMAND = Command(
    name="matrix",
    help="Print which tests go to which runner, as a GitHub Actions matrix; nothing is run",
    arguments=add_arguments,
    run=run,
)
