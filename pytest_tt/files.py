"""Writing a file so that no reader ever sees half of it."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Put `content` (text as UTF-8) at `path`, whole or not at all; makes the directory. Raises OSError."""
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
    """`path`, made if need be. Raises pytest.UsageError naming `option` where nothing can be written there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        _try_to_write(path)
    except OSError as error:
        raise pytest.UsageError(
            f"{option}: {path} cannot be used ({error.strerror}): expected a directory that can be written"
        ) from None
    return path


def usable_file(path: Path, option: str) -> Path:
    """`path` with links followed. Raises pytest.UsageError where no regular file can be written there."""
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            raise pytest.UsageError(f"{option}: {path} is no regular file: expected the name of a file to write")
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
