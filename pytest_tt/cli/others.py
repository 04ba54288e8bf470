"""Commands of other packages: entry points of the group `pytest_tt_commands`, each ``main(arguments) -> exit code``."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_tt.packages import distribution, entry_points

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from importlib.metadata import EntryPoint

    Main: TypeAlias = Callable[[Sequence[str]], int]

GROUP = "pytest_tt_commands"


class CommandError(Exception):
    """A command of another package that cannot be run; the text names its distribution."""


def commands() -> dict[str, list[EntryPoint]]:
    """Name -> the entry points that claim it. More than one is a clash."""
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(GROUP), key=lambda point: point.name):
        found.setdefault(point.name, []).append(point)
    return found


def summary(points: Collection[EntryPoint]) -> str:
    """What the list of commands says of one: the first sentence of its module's docstring, and where it comes from."""
    owners = " and of ".join(map(distribution, points))
    said = _first_sentence(next(iter(points)).module) if len(points) == 1 else ""
    return f"{said} ({owners})" if said else f"Command of {owners}"


def _first_sentence(module: str) -> str:
    """Of the docstring of `module`, which is read but not imported; empty where there is none to read."""
    package, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            return ""
        path = Path(spec.origin)
        if inner:
            path = path.parent.joinpath(*inner)
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        docstring = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    except (ImportError, OSError, SyntaxError, ValueError):
        return ""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".")


def load(name: str, points: Collection[EntryPoint]) -> Main:
    """The function to call. Raises CommandError for a clash, and for what cannot be imported or called."""
    owners = [distribution(point) for point in points]
    if len(owners) > 1:
        raise CommandError(f"{' and '.join(owners)} both have a command {name!r}: uninstall one of them")
    (point,), (owner,) = points, owners
    try:
        main = point.load()
    except Exception as error:
        raise CommandError(
            f"the command of {owner} cannot be loaded from {point.value!r} ({type(error).__name__}: {error}): "
            "install what it needs, or mend or uninstall that package"
        ) from None
    if not callable(main):
        raise CommandError(f"the command of {owner}, {point.value!r}, is no function but {type(main).__name__}")
    return main  # type: ignore[no-any-return]
