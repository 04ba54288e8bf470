"""How a command says that its input cannot be used."""

from __future__ import annotations

import sys

UNUSABLE = 2
"""The exit code."""


def refuse(command: str, error: object) -> int:
    """Say in one line on stderr what is wrong. Returns the exit code."""
    print(f"pytest-tt {command}: {' '.join(str(error).split())}", file=sys.stderr)
    return UNUSABLE
