"""What GitHub reads: annotations on stdout, and the Markdown of a step's summary, with every text in it escaped."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_tt.results.reading import Key

STDOUT = "-"

# https://docs.github.com/actions/reference/workflow-commands-for-github-actions; the characters as its toolkit has them
_IN_TEXT = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = _IN_TEXT | str.maketrans({":": "%3A", ",": "%2C"})

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#+|~&$!])")


def annotation(level: str, key: Key, title: str, text: str) -> str:
    """A line that GitHub shows at the test's file. level: ``error``, ``warning`` or ``notice``."""
    file = key.nodeid.partition("::")[0]
    properties = ",".join(
        f"{name}={value.translate(_IN_PROPERTY)}" for name, value in (("file", file), ("title", title))
    )
    return f"::{level} {properties}::{text.translate(_IN_TEXT)}"


def write_markdown(place: str, text: str) -> None:
    """Put Markdown on stdout (``-``) or into a file, whole or not at all. Raises OSError.

    The file that ``$GITHUB_STEP_SUMMARY`` names is appended to: all commands of a step share it.
    """
    if place == STDOUT:
        sys.stdout.write(text)
    elif place == os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    else:
        write_atomically(Path(place), text)


def plain(text: str) -> str:
    """`text` on one line, shown as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """`text` on one line in code style, fit for a cell of a table."""
    text = " ".join(text.split())
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|") if text else ""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], right: frozenset[str] = frozenset()) -> str:
    """A table of cells that are Markdown already; columns named in `right` are aligned to the right."""
    rule = ["---:" if name in right else "---" for name in header]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))
