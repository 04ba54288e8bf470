"""pytest-tt: one JAX test on simulated Tenstorrent chips, in CI without a card, and on the card.

This module holds the pytest hooks and nothing that is slow to import: jax, flax and numpy are imported by the fixtures
that need them.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.config import add_options, read_settings
from pytest_tt.fixtures import FIXTURES, cpu_init_params, tt_device, tt_golden, tt_jit, tt_mesh, tt_run
from pytest_tt.items import (
    MESH_PARAMETER,
    SESSION,
    find_recorder,
    meshes_to_run,
    recorder_of,
    run_of,
    session_of,
    uses_tt,
)
from pytest_tt.run_hooks import RUN_HOOKS, RunHooks
from pytest_tt.session import Session

if TYPE_CHECKING:
    import argparse

    from pytest_tt.golden import Golden, GoldenChecker
    from pytest_tt.jit import TTJit
    from pytest_tt.run import TTRun

__version__ = "0.1.0"

_MARKER = (
    'tt(mesh=None, axes=("batch", "model"), system=None, options=None): run on a mesh of Tenstorrent chips. mesh: '
    '"1x8", or a list of meshes to run the test on each; axes: names of the two mesh axes; system: name or names of '
    "boxes that the test is meant for; options: TT compiler options"
)

__all__ = [
    "Golden",
    "GoldenChecker",
    "TTJit",
    "TTRun",
    "__version__",
    "cpu_init_params",
    "tt_device",
    "tt_golden",
    "tt_jit",
    "tt_mesh",
    "tt_run",
]

# Types of what the fixtures give, imported at first use.
_LAZY = {
    "Golden": "pytest_tt.golden",
    "GoldenChecker": "pytest_tt.golden",
    "TTJit": "pytest_tt.jit",
    "TTRun": "pytest_tt.run",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'pytest_tt' has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Not called for a plugin that a conftest names; pytest_configure makes up for that.
    namespace = early_config.known_args_namespace
    if not (namespace.help or namespace.version):
        _start(early_config, namespace)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    if config.option.help or config.option.version:
        return
    if SESSION not in config.stash:
        _start(config, config.option)
    session = session_of(config)
    session.refuse_workers(getattr(config.option, "numprocesses", None), hasattr(config, "workerinput"))
    if getattr(config.option, "numprocesses", None):
        config.pluginmanager.register(RunHooks(), RUN_HOOKS)
    if session.settings.results.value is not None:
        from pytest_tt.results.plugin import register

        register(config, session, Path(config.invocation_params.dir, session.settings.results.value))


def _start(config: pytest.Config, namespace: argparse.Namespace) -> None:
    config.stash[SESSION] = Session(read_settings(config, namespace))
    config.stash[SESSION].prepare_jax()


def pytest_unconfigure(config: pytest.Config) -> None:
    if SESSION in config.stash:
        session_of(config).close()


def pytest_report_header(config: pytest.Config) -> str:
    return session_of(config).header(__version__)


@pytest.fixture(name=MESH_PARAMETER)
def _mesh_parameter(request: pytest.FixtureRequest) -> Any:
    return request.param


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("tt") is None:
        return
    from pytest_tt.marker import read_marker

    try:
        marker = read_marker(metafunc.definition.iter_markers("tt"), metafunc.definition.nodeid)
    except pytest.UsageError:
        # Raised again after collection, where it stops the run with its text alone and exit code 4.
        return
    meshes = meshes_to_run(marker, session_of(metafunc.config))
    if meshes:
        metafunc.fixturenames.append(MESH_PARAMETER)
        metafunc.parametrize(MESH_PARAMETER, meshes, indirect=True, ids=[str(mesh) for mesh in meshes])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if uses_tt(item, FIXTURES)]
    for item in ours:
        recorder_of(item)
        obstacle = run_of(item).obstacle
        if obstacle is not None and not session_of(config).settings.require.value:
            item.add_marker(pytest.mark.skip(reason=obstacle))
    if session_of(config).ground.backend == "hw":
        # TT's client closes and reopens the mesh whenever its shape changes.
        shapes = {item: str(run_of(item).mesh) for item in ours}
        order = {shape: place for place, shape in enumerate(dict.fromkeys(shapes.values()))}
        items.sort(key=lambda item: order.get(shapes.get(item, ""), -1))


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    ours = session_of(config)
    items = [item for item in session.items if find_recorder(item) is not None]
    ours.begin_rows([recorder_of(item).row for item in items])
    if config.option.collectonly:
        return
    if items and not config.pluginmanager.has_plugin(RUN_HOOKS):
        # Only now, so that runs without tt tests do not pay for hooks around each test.
        config.pluginmanager.register(RunHooks(), RUN_HOOKS)
    ours.provide([run_of(item) for item in items])
    cache = getattr(config, "cache", None)
    ours.use_compile_cache(
        lambda: None if cache is None else cache.mkdir("tt-compiled"), Path(config.invocation_params.dir)
    )
    ours.hold_chips(_say(config))


def _say(config: pytest.Config) -> Any:
    """A function that shows a line at once, also from an xdist worker, whose stderr is the user's."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        return lambda line: (reporter.ensure_newline(), reporter.write_line(line), reporter.flush())
    return lambda line: print(line, file=sys.__stderr__, flush=True)
