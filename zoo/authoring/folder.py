"""A model's folder: the dotted name that its modules are imported by, and the lines in it that say TODO."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry

if TYPE_CHECKING:
    from zoo.registry import Model

MARK = "TODO"

_SUFFIXES = (".py", ".md", ".toml", ".txt")


def dotted_name(folder: Path) -> tuple[str, Path]:
    """Import name of the package in `folder`, and the directory that must be on the path for it.

    Folders above count as packages as long as they hold an ``__init__.py``.
    """
    parts, parent = [folder.name], folder.parent
    while (parent / "__init__.py").is_file():
        parts.insert(0, parent.name)
        parent = parent.parent
    return ".".join(parts), parent


def import_model(asked: str) -> tuple[Model, Path]:
    """The model of that name, or of the folder `asked`, and its folder.

    ValueError if neither exists; whatever a registration raises that cannot be imported.
    """
    folder = Path(asked).resolve()
    if asked not in registry.names() and (folder / "registration.py").is_file():
        name, above = dotted_name(folder)
        if str(above) not in sys.path:
            sys.path.insert(0, str(above))
        found: Model = importlib.import_module(f"{name}.registration").MODEL
        return found, folder
    if asked in registry.names():
        return registry.model(asked), registry.ROOT / asked
    models = registry.models()
    if asked not in models:
        from pytest_tt.text import nearest

        raise ValueError(
            f"no such model: {asked}{nearest(asked, models)}; expected one of {', '.join(models)}, or a folder with a "
            "registration.py"
        )
    model = models[asked]
    return model, model.golden_folder.parent


def todos(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """File, relative to `folder`, to the number and the text of each line that says `MARK`; only files that have some.

    OSError if a file cannot be read.
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
    """A line for each file: how many places, and which lines (only the first `most`)."""
    lines = []
    for name, marked in found.items():
        numbers = ", ".join(str(number) for number, _ in marked[:most]) + (" …" if len(marked) > most else "")
        lines.append(f"{name}: {len(marked)} {MARK} (line{'s' * (len(marked) > 1)} {numbers})")
    return lines
