"""Tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> list[str]:
    """A line of headings and a line for each of `rows`, aligned: columns named in `right` to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = []
    for row in (columns, *rows):
        cells = zip(columns, row, widths, strict=True)
        line = "  ".join(text.rjust(width) if name in right else text.ljust(width) for name, text, width in cells)
        lines.append(line.rstrip())
    return lines
