"""Hooks that other plugins and conftest files can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def pytest_tt_zoo_models() -> Iterable[Any]:  # type: ignore[empty-body]
    """Models, as ``zoo.registry.Model``, for the zoo's contract test to check together with the zoo's own.

    Called at collection, so importing them must not start a backend. An installed package should rather use an entry
    point of the group ``pytest_tt_zoo``, which ``python -m zoo`` sees too.
    """


@pytest.hookspec(firstresult=True)
def pytest_tt_model(item: pytest.Item) -> str | None:
    """The model that the tt test `item` tests, if its marker does not name one; None if unknown.

    Results and reports show it, and entries of ``tt_status.toml`` select by it.
    """
