"""Models of other packages and their origin: by the hook ``pytest_tt_zoo_models``, or by entry points.

The value of an entry point of the group ``pytest_tt_zoo`` is a module or object with a function
``pytest_tt_zoo_models()`` that returns a list of `zoo.registry.Model`, as the pytest hook of that name does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_tt.packages import distribution, entry_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

    import pytest

HOOK = "pytest_tt_zoo_models"

GROUP = "pytest_tt_zoo"
"""Of entry points."""


class ZooError(ValueError):
    """Models of another package that cannot be used; the text is one line that names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Zoo:
    """The models of one package, plugin or conftest file.

    origin: its name for messages, e.g. ``external-zoo 0.1.0``. remedy: what to do if it cannot be used.
    """

    origin: str
    remedy: str
    models: tuple[Any, ...]


def ask(origin: str, remedy: str, give: Callable[[], Any]) -> Zoo:
    """The models that `give` returns. ZooError if it fails, or returns anything else than models."""
    try:
        given = give()
        if isinstance(given, str) or not hasattr(given, "__iter__"):
            raise ZooError(f"{origin}: {HOOK}() returns {of_type(given)}, expected a list of models; {remedy}")
        models = tuple(given)
    except ZooError:
        raise
    except Exception as error:
        raise ZooError(f"{origin}: {HOOK}() fails with {words(error)}; {remedy}") from error
    for model in models:
        if not isinstance(getattr(model, "name", None), str):
            raise ZooError(
                f"{origin}: {HOOK}() returns {of_type(model)} among its models, expected zoo.registry.Model; {remedy}"
            )
    return Zoo(origin, remedy, models)


def hooked(config: pytest.Config, without: Callable[..., Any] | None = None) -> Iterator[Zoo]:
    """The models of each plugin and conftest file with the hook, except the one whose hook is the function `without`.

    Raises ZooError as `ask` does, and what the zoo's own hook raises.
    """
    manager = config.pluginmanager
    plugins = [found.plugin for found in manager.hook.pytest_tt_zoo_models.get_hookimpls() if found.function != without]
    everyone = manager.get_plugins()
    distributions = {id(plugin): about for plugin, about in manager.list_plugin_distinfo()}
    for plugin in plugins:
        name, about = manager.get_name(plugin), distributions.get(id(plugin))
        if about is not None:
            origin, remedy = f"{about.project_name} {about.version}", fix_or_uninstall(about.project_name)
        else:
            origin, remedy = f"{name}", "fix it there"
        alone = manager.subset_hook_caller(HOOK, everyone - {plugin})
        yield ask(origin, remedy, partial(_sole, alone))


def installed() -> Iterator[Zoo]:
    """The models of each entry point of `GROUP`. Raises ZooError as `ask` does, and for one that cannot be imported."""
    for point in entry_points(GROUP):
        yield _of_entry_point(point)


def _of_entry_point(point: EntryPoint) -> Zoo:
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


def _sole(alone: Callable[[], list[Any]]) -> Any:
    """The result of the one hook that `alone` calls; pluggy leaves None out."""
    return next(iter(alone()), ())


def fix_or_uninstall(distribution: str) -> str:
    """What to do about an installed `distribution` that cannot be used."""
    return f"fix it, or uninstall it: pip uninstall {distribution}"


def words(error: BaseException) -> str:
    """`error` in one line: type and text."""
    return ": ".join(part for part in (type(error).__name__, " ".join(str(error).split())) if part)


def of_type(value: object) -> str:
    """The type of `value` with its article, e.g. ``an int``."""
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
