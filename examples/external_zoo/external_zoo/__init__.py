"""A zoo of its own: one model, an MLP-Mixer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.registry import Model


def pytest_tt_zoo_models() -> list[Model]:
    """The models of this package; the entry point in pyproject.toml leads here."""
    from external_zoo.registration import MODEL  # inside, so that importing the package stays quick

    return [MODEL]
