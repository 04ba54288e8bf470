"""The place of a test's artifacts below the directory of ``--tt-artifacts``."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 100


def artifacts_of(root: Path, nodeid: str) -> Path:
    """The directory of test `nodeid`: its readable name, with a digest if the name alone is ambiguous.

    Removes what an earlier run or attempt left there.
    """
    directory = root / file_name(nodeid.replace("::", ".").replace("/", "."))
    if directory.is_dir():
        for path in directory.iterdir():
            if re.match(r"[0-9]{2,}_", path.name):
                path.unlink()
    return directory


def file_name(text: str) -> str:
    """`text` as a file name: unchanged if valid, else its valid characters and a digest."""
    clean = re.sub(r"[^A-Za-z0-9_.\[\]-]+", "_", text)
    if clean == text and len(text) <= _LONGEST:
        return text
    return f"{clean[:_LONGEST].strip('_')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
