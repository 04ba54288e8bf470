"""Commands of other packages: entry points of the group `pytest_tt_commands`, each ``main(arguments) -> exit code``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pytest_tt.entry_points import distribution, of_group

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
    for point in sorted(of_group(GROUP), key=lambda point: point.name):
        found.setdefault(point.name, []).append(point)
    return found


def origin(points: Collection[EntryPoint]) -> str:
    """What the list of commands says of one: where it comes from."""
    return f"Command of {' and of '.join(map(distribution, points))}"


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
