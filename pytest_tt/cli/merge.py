"""`pytest-tt merge`: one results document of many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.cli.command import Command, UnusableError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.add_argument("documents", nargs="+", type=Path, metavar="DOCUMENT", help="Results documents")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="Document to write")
    parser.add_argument(
        "--rerun",
        action="store_true",
        help="Of a test that is in several documents, keep the row of the run that started last",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the merged document. Returns 0."""
    import json
    from collections import Counter

    from pytest_tt.files import write_atomically
    from pytest_tt.results.merging import merge_documents
    from pytest_tt.results.reading import DocumentError, read_documents

    try:
        documents = read_documents(arguments.documents)
        merged = merge_documents(documents, rerun=arguments.rerun)
    except DocumentError as error:
        raise UnusableError(error) from None
    try:
        write_atomically(arguments.output, json.dumps(merged, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise UnusableError(f"-o {arguments.output}: cannot be written: {error.strerror}") from None
    outcomes = Counter(row["outcome"] for row in merged["tests"])
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    runs = len(merged["runs"])
    print(f"{arguments.output}: {len(merged['tests'])} tests of {runs} run{'s' * (runs != 1)} ({counts or 'none'})")
    return 0


COMMAND = Command(
    name="merge", help="Merge results documents, of shards or of runners, into one", arguments=add_arguments, run=run
)
