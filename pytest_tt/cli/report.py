"""`pytest-tt report`: what results documents say, for a terminal, for GitHub, and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError

if TYPE_CHECKING:
    import argparse

    from pytest_tt.ci.report.history import History


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument(
        "documents",
        nargs="+",
        type=Path,
        metavar="DOCUMENT",
        help="Results documents; of several runs the newest counts, the others are its history",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="Write an HTML page, one file without scripts"
    )
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help="Write the summary as Markdown; - is stdout, $GITHUB_STEP_SUMMARY is appended to",
    )
    parser.add_argument("--github", action="store_true", help="Print a GitHub annotation for each failure")


def run(arguments: argparse.Namespace) -> int:
    """Print the summary and write what is asked for. Returns 0."""
    from pytest_tt.ci.report.github import STDOUT, write_markdown
    from pytest_tt.ci.report.history import build_history
    from pytest_tt.ci.report.lists import annotation_lines, markdown
    from pytest_tt.files import write_atomically
    from pytest_tt.results.reading import DocumentError, read_documents

    try:
        history = build_history(read_documents(arguments.documents))
    except DocumentError as error:
        raise UnusableError(error) from None
    place = ""
    try:
        if arguments.output is not None:
            from pytest_tt.ci.report.page import page

            place = f"-o {arguments.output}"
            write_atomically(arguments.output, page(history))
        if arguments.markdown is not None:
            place = f"--markdown {arguments.markdown}"
            write_markdown(arguments.markdown, markdown(history))
    except OSError as error:
        raise UnusableError(f"{place}: cannot be written: {error.strerror}") from None
    if arguments.markdown != STDOUT:
        print("\n".join(_lines(history)))
    if arguments.github:
        print("".join(f"{line}\n" for line in annotation_lines(history)), end="")
    return 0


def _lines(history: History) -> list[str]:
    """The newest run, a line for each model and system, the failures with their reasons, and the counts."""
    from pytest_tt.ci.report import lists
    from pytest_tt.text import table

    summary = table([lists.HEADER, *lists.rows(history)], right=lists.RIGHT)
    return [lists.origin(history), summary, *lists.failure_lines(history), lists.total(history)]


COMMAND = Command(
    name="report",
    help="Show results documents: a summary, Markdown, GitHub annotations, an HTML page",
    arguments=add_arguments,
    run=run,
)
