"""What is still to be written in a model's folder: the lines that say TODO."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MARK = "TODO"

_SUFFIXES = (".py", ".md", ".toml", ".txt")


def todos(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """File, relative to `folder`, to the number and the text of each line that says `MARK`; only files that have some.

    OSError where a file cannot be read.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in _SUFFIXES and path.is_file():
            lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
            marked = [(number, line.strip()) for number, line in lines if MARK in line]
            if marked:
                found[path.relative_to(folder).as_posix()] = marked
    return found


def summary(found: dict[str, list[tuple[int, str]]], *, most: int = 6) -> list[str]:
    """A line for each file: how many places, and which lines (of more than `most` the first ones)."""
    lines = []
    for name, marked in found.items():
        numbers = ", ".join(str(number) for number, _ in marked[:most]) + (" …" if len(marked) > most else "")
        lines.append(f"{name}: {len(marked)} {MARK} (line{'s' * (len(marked) > 1)} {numbers})")
    return lines
