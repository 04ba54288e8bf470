"""Tables of a pyproject.toml that belong to this project's commands: ``[tool.pytest-tt.<name>]``."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from pytest_tt.text import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OWNER = "pytest-tt"


class TableError(ValueError):
    """A table cannot be read; the text is one line: the file, what was expected, what to do."""


def read_table(path: Path, name: str, *, required: bool) -> Mapping[str, Any] | None:
    """The table ``[tool.pytest-tt.<name>]`` of `path`; None where file or table are not there and not `required`.

    Raises TableError, also for a name that is nearly right: what stands there would be ignored.
    """
    title = f"tool.{OWNER}.{name}"
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        if required:
            raise TableError(f"{path}: is not there: expected a TOML file with the table [{title}]") from None
        return None
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: is no TOML: {error}") from None
    tools = _table(document.get("tool"))
    for other in tools:
        if other != OWNER and other.lower().replace("_", "-") in (OWNER, f"{OWNER}-{name}"):
            raise TableError(f"{path}: tool.{other}: is not read: did you mean {title}?")
    own = _table(tools.get(OWNER))
    if name in own:
        if not isinstance(own[name], dict):
            raise TableError(f"{path}: {title}: expected a table, found {own[name]!r}")
        return _table(own[name])
    if required:
        raise TableError(f"{path}: has no table [{title}]")
    for other in own:
        if nearest(other, [name]):
            raise TableError(f"{path}: tool.{OWNER}.{other}: is not read: did you mean {title}?")
    return None


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
