"""Importing transformers where torch is not installed, without its advice to install it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SILENT = "TRANSFORMERS_NO_ADVISORY_WARNINGS"


@contextmanager
def without_advice() -> Iterator[None]:
    """What transformers prints as advice while it is imported is not printed: tokenizers and configs need no torch."""
    before = os.environ.get(_SILENT)
    os.environ[_SILENT] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SILENT]
        else:
            os.environ[_SILENT] = before
