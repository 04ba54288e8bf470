"""tt markers where pytest does not look for markers: it says nothing, and the tests would run on the default mesh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def check_places(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Raise pytest.UsageError for a ``pytestmark`` with the tt marker in a conftest or in a package of `items`."""
    for place in {id(place): place for place in _places(config, items)}.values():
        marks = getattr(place, "pytestmark", ())
        for mark in marks if isinstance(marks, list | tuple) else (marks,):
            if getattr(mark, "name", None) == "tt":
                raise pytest.UsageError(
                    f"{getattr(place, '__file__', place)}: pytest ignores pytestmark in conftest.py and __init__.py: "
                    "write the tt marker in the test modules, or give a mesh to all tests by ini tt_mesh or --tt-mesh"
                )


def _places(config: pytest.Config, items: Iterable[pytest.Item]) -> Iterator[object]:
    for plugin in config.pluginmanager.get_plugins():
        if Path(str(getattr(plugin, "__file__", None))).name == "conftest.py":
            yield plugin
    for name in {str(getattr(getattr(item, "module", None), "__package__", None) or "") for item in items}:
        while name:
            if name in sys.modules:
                yield sys.modules[name]
            name = name.rpartition(".")[0]
