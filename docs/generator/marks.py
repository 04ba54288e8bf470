"""MkDocs hook that marks code blocks that no check runs; tests/docs_blocks.py has the rules."""

from __future__ import annotations

import re
from typing import Any

_NOT_RUN = re.compile(r"^( *)<!-- not run: (.+?) -->$", re.MULTILINE)
_SLOW = re.compile(r"^ *<!-- (slow|needs: .+?) -->\n", re.MULTILINE)


def on_page_markdown(markdown: str, **others: Any) -> str:
    """The page's text with a note before each block that is not run."""
    return _SLOW.sub("", _NOT_RUN.sub(r"\1*Not run by our checks: \2.*\n", markdown))
