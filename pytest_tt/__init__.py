"""pytest-tt: one JAX test on simulated Tenstorrent chips, in CI without a card, and on the card.

This module holds the pytest hooks and nothing that is slow to import: jax, flax and numpy are imported by the fixtures
that need them.
"""

from __future__ import annotations

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
from pytest_tt.marker import SIGNATURE, read_marker
from pytest_tt.session import Session

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

__version__ = "0.1.0"

__all__ = ["__version__", "cpu_init_params", "tt_device", "tt_golden", "tt_jit", "tt_mesh", "tt_run"]


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Not called for a plugin that a conftest names; pytest_configure makes up for that.
    namespace = early_config.known_args_namespace
    if not (namespace.help or namespace.version):
        _start(early_config, namespace)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", SIGNATURE)
    if config.option.help or config.option.version:
        return
    if SESSION not in config.stash:
        _start(config, config.option)
    session = session_of(config)
    session.refuse_workers(getattr(config.option, "numprocesses", None), hasattr(config, "workerinput"))
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
    if session_of(config).ground.backend == "hw":
        # TT's client closes and reopens the mesh whenever its shape changes.
        shapes = {item: str(run_of(item).mesh) for item in ours}
        order = {shape: place for place, shape in enumerate(dict.fromkeys(shapes.values()))}
        items.sort(key=lambda item: order.get(shapes.get(item, ""), -1))


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    ours = session_of(config)
    recorders = [recorder for recorder in map(find_recorder, session.items) if recorder is not None]
    ours.begin_rows([recorder.row for recorder in recorders])
    if config.option.collectonly:
        return
    runs = [run_of(item) for item in session.items if find_recorder(item) is not None]
    ours.provide(runs)
    cache = getattr(config, "cache", None)
    ours.use_compile_cache(
        cache.mkdir("tt-compiled") if cache is not None else None, Path(config.invocation_params.dir)
    )
    ours.hold_chips(_say(config))


def _say(config: pytest.Config) -> Any:
    """A function that shows a line at once, also from an xdist worker, whose stderr is the user's."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        return lambda line: (reporter.ensure_newline(), reporter.write_line(line), reporter.flush())
    return lambda line: print(line, file=sys.__stderr__, flush=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if find_recorder(item) is None:
        return
    obstacle = run_of(item).obstacle
    if obstacle is None:
        return
    if session_of(item.config).settings.require.value:
        pytest.fail(f"{obstacle} (--tt-require)", pytrace=False)
    pytest.skip(obstacle)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    recorder = find_recorder(item)
    if recorder is not None:
        recorder.phase("trace" if "tt_jit" in getattr(item, "fixturenames", ()) else "execute")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    recorder = find_recorder(item)
    if recorder is not None:
        recorder.publish(item)
    report = yield
    if recorder is not None and report.when == "setup" and report.failed and run_of(item).obstacle is not None:
        report.tt_obstacle = True  # type: ignore[attr-defined]
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """A test that could not run under --tt-require has failed; pytest would call it an error of its set-up."""
    return ("failed", "F", "FAILED") if hasattr(report, "tt_obstacle") else None
