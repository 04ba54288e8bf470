"""Fixtures of the plugin's own tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of the machine or of the outer run reaches the inner ones, and no real card is found."""
    for name in list(os.environ):
        if name.startswith(("PYTEST_TT_", "JAX_", "TT_")) or name in (
            "CI",
            "PYTEST_ADDOPTS",
            "PYTEST_PLUGINS",
            "XLA_FLAGS",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_TT_DEVICE_ROOT", str(tmp_path_factory.getbasetemp() / "no-devices"))


@pytest.fixture
def run_tt(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest with the plugin in a process of its own: jax can be started only once in a process."""

    def run(*args: str | Path) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-p", "pytest_tt", "-W", "error", *args)

    return run
