"""GitHub-flavoured Markdown with every text in it escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#+|~&$!])")


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


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: frozenset[str] = frozenset()) -> str:
    """A table of cells that are Markdown already; columns named in `right` are aligned to the right."""
    rule = ["---:" if name in right else "---" for name in header]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))
