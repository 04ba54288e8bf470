"""Pieces of Markdown."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; cells are Markdown too."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def code(text: object) -> str:
    """`text` as inline code; empty for an empty text."""
    return f"`{text}`" if str(text) else ""


def prose(text: str) -> str:
    """A docstring's text as Markdown: options and text in backticks are code, everything else is literal."""
    parts = re.split(r"(``.+?``|`[^`]+`|(?<![\w-])--[a-z][\w-]+|\btt_\w+(?:\.\w+)?)", textwrap.dedent(text).strip())
    literal = [re.sub(r"([*<>\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    spans = [f"`{part.strip('`')}`" for part in parts[1::2]]
    return "".join(first + second for first, second in zip(literal, [*spans, ""], strict=True))


def described(names: Iterable[str], words: Mapping[str, str], what: str) -> dict[str, str]:
    """`words` in the order of `names`. ValueError if a name has no description, or if a description has no name."""
    names = list(names)
    if set(names) != set(words):
        raise ValueError(
            f"docs/generator/meanings.py: {what}: {sorted(set(names) ^ set(words))}: only in the code or only here"
        )
    return {name: words[name] for name in names}
