"""Hooks of our own that other plugins and conftest files can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def pytest_tt_zoo_models() -> Iterable[Any]:  # type: ignore[empty-body]
    """Models, as ``zoo.registry.Model``, to be checked by the zoo's contract test beside the zoo's own.

    Called at collection, so importing them must start no backend. An installed package is better served by an entry
    point of the group ``pytest_tt_zoo``, which ``python -m zoo`` sees too.
    """


@pytest.hookspec(firstresult=True)
def pytest_tt_model(item: pytest.Item) -> str | None:
    """The model that the tt test `item` is a test of, where its marker does not name one; None where unknown.

    Results and reports show it, and ``tt_status.toml`` goes by it.
    """
