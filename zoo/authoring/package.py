"""Where a model lies: the folder, and the dotted name that its modules are imported by."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry

if TYPE_CHECKING:
    from zoo.registry import Model


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

    ValueError where there is none; whatever a registration raises that cannot be imported.
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
