"""Writing a file atomically, so that no reader ever sees half of it."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`, whole or not at all; makes the directory. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def usable_directory(path: Path, option: str) -> Path:
    """`path`, created if it is missing. Raises pytest.UsageError that names `option` if it is not writable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        _try_to_write(path)
    except OSError as error:
        raise pytest.UsageError(
            f"{option}: {path} cannot be used ({error.strerror}): expected a writable directory"
        ) from None
    return path


def usable_file(path: Path, option: str) -> Path:
    """`path` with links resolved. Raises pytest.UsageError if no regular file can be written there."""
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            raise pytest.UsageError(f"{option}: {path} is not a regular file: expected the name of a file to write")
        path.parent.mkdir(parents=True, exist_ok=True)
        _try_to_write(path.parent, path.name)
    except OSError as error:
        raise pytest.UsageError(
            f"{option}: {path} cannot be written ({error.strerror}): expected the name of a file to write"
        ) from None
    return path


def _try_to_write(directory: Path, name: str = "") -> None:
    """Make and remove a file as `write_atomically` would."""
    temporary = directory / f".{name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    temporary.touch(exist_ok=False)
    temporary.unlink()
