"""Models of other packages, which these name by an entry point of the group ``pytest_tt_zoo``.

Its value is a module or object with a function ``pytest_tt_zoo_models()`` that returns a list of `zoo.registry.Model`,
as the pytest hook of that name does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.discovery import HOOK, Zoo, ZooError, ask, fix_or_uninstall, of_type, words
from pytest_tt.packages import distribution, entry_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

GROUP = "pytest_tt_zoo"


def installed() -> Iterator[Zoo]:
    """What every entry point of the group gives. ZooError for one that cannot be imported or gives no models."""
    for point in entry_points(GROUP):
        yield _ask(point)


def _ask(point: EntryPoint) -> Zoo:
    if point.dist is None:
        origin, remedy = f"entry point {point.name} = {point.value} of an unknown package", "fix or uninstall it"
    else:
        origin, remedy = distribution(point), fix_or_uninstall(point.dist.name)
    about = f"its entry point {point.name!r} of {GROUP}, {point.value!r},"
    try:
        found = point.load()
    except Exception as error:
        raise ZooError(f"{origin}: {about} cannot be loaded ({words(error)}); {remedy}") from error
    give = getattr(found, HOOK, None)
    if not callable(give):
        raise ZooError(f"{origin}: {about} is {of_type(found)} without the function {HOOK}(); {remedy}")
    return ask(origin, remedy, give)
