"""Fixtures of the plugin's own tests."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import inner_runs
import pytest
from device_tree import make_system
from fake_plugins import Environment, make_environment, plugins_of

from pytest_tt.targets import provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of the machine or of the outer run reaches the inner ones, and no real card is found.

    Inner runs load no plugins but ours and those that they name: finding the others takes a third of their time. They
    keep bytecode, also where the outer run does not: else each rewrites and compiles the plugin anew. And as in the
    outer run XLA optimizes little.
    """
    for name in list(os.environ):
        if name in ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS"):
            continue
        if name.startswith(("PYTEST_TT_", "JAX_", "TT_")) or name in (
            "CI",
            "PYTEST_ADDOPTS",
            "PYTEST_PLUGINS",
            "PYTHONDONTWRITEBYTECODE",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_TT_DEVICE_ROOT", str(tmp_path_factory.getbasetemp() / "no-devices"))


@pytest.fixture
def autoload(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner runs load every plugin that is installed, as those of users do."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")


@pytest.fixture
def run_tt(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest with the plugin in a process of its own: jax can be started only once in a process."""

    def run(*args: str | Path) -> pytest.RunResult:
        return inner_runs.run_pytest(pytester, "-p", "pytest_tt", *plugins_of(args), "-W", "error", *args)

    return run


@pytest.fixture
def mock_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A compile cache for what runs on mock devices, one test at a time: their firmware is compiled once for all."""
    room = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        room = room.parent
    directory = room / "mock-devices"
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


@pytest.fixture
def mock_kernels(mock_cache: Path) -> Path:
    """Where `mock_cache` keeps the firmware and the kernels."""
    directory = mock_cache / "card" / "mock-kernels"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner runs import jax themselves, as those of users do: for tests about when and how it starts."""
    monkeypatch.setattr(inner_runs, "can_fork", lambda folder: False)


@pytest.fixture
def jax_cannot_start(pytester: pytest.Pytester) -> None:
    """Inner runs whose tests use no jax do not start it either, as a spare process of ``--tt-isolate`` else would."""
    pytester.makepyfile(jax="raise ImportError('not used here')")


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the well-behaved fake plugin."""
    return make_environment(tmp_path_factory.mktemp("working"), "working")


@pytest.fixture(scope="session")
def killing(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment whose plugin kills the process that initialises it."""
    return make_environment(tmp_path_factory.mktemp("killing"), "killing")


@pytest.fixture
def no_plugin_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process does not see jax-tt-plugin where it is really installed."""
    plugins, version = provider._plugins, provider.package_version

    def others() -> tuple[provider.Provider, ...]:
        return tuple(each for each in plugins() if each.name != provider.PUBLIC)

    monkeypatch.setattr(provider, "_plugins", others)
    monkeypatch.setattr(provider, "package_version", lambda name: None if name == provider.PUBLIC else version(name))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make this machine look like a system to the inner runs; returns the root of its device tree."""

    def make(system: str, chips: int) -> Path:
        root = make_system(tmp_path / "machine", system)
        monkeypatch.setenv("PYTEST_TT_DEVICE_ROOT", str(root))
        monkeypatch.setenv("FAKE_CHIPS", str(chips))
        monkeypatch.setenv("FAKE_LOG", str(root / "log"))
        return root

    return make


@pytest.fixture
def n300(machine: Callable[..., Path]) -> Path:
    return machine("n300", 2)
