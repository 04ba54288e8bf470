"""pytest-tt: one JAX test on simulated Tenstorrent chips, in CI without a card, and on the card.

This module holds the pytest hooks and nothing that is slow to import: jax, flax and numpy are imported by the fixtures
that need them.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_tt.files import usable_directory
from pytest_tt.fixtures import (
    FIXTURES,
    cpu_init_params,
    mesh_parameter,  # noqa: F401 - pytest finds it here
    tt_compile,
    tt_device,
    tt_golden,
    tt_jit,
    tt_mesh,
    tt_run,
    tt_shared_mesh,
)
from pytest_tt.isolation.options import ISOLATION, choose_isolation, is_child
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
from pytest_tt.marker import check_places
from pytest_tt.options import add_options, read_settings
from pytest_tt.parameters import SHARED_MESH, TAKE_A_MESH, mesh_id, on_other_meshes, parametrized
from pytest_tt.reporting import Reporting
from pytest_tt.run_hooks import install_run_hooks
from pytest_tt.session import Session, choose_target
from pytest_tt.targets.mesh import DEFAULT_AXES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_tt.compiler.tt_compile import TTCompile
    from pytest_tt.compiler.tt_jit import TTJit
    from pytest_tt.golden import Golden, GoldenChecker
    from pytest_tt.options import Setting
    from pytest_tt.pytorch import torch_to_jax
    from pytest_tt.run import TTRun
    from pytest_tt.standalone import Chips, open_chips, simulate
    from pytest_tt.targets.mesh import MeshShape
    from pytest_tt.targets.target import ChipsError
    from pytest_tt.tt_compiler.card_program import CardProgram
    from pytest_tt.tt_compiler.errors import TTCompileError

__version__ = "0.1.0"

_MARKER = (
    'tt(mesh=None, axes=("batch", "model"), system=None, options=None, model=None, variant=None): run on a mesh of '
    'Tenstorrent chips. mesh: "1x8", or a list of meshes to run the test on each; axes: names of the two mesh axes; '
    "system: name or names of boxes that the test is meant for; options: TT compiler options; model, variant: what it "
    "is a test of"
)

__all__ = [
    "CardProgram",
    "Chips",
    "ChipsError",
    "Golden",
    "GoldenChecker",
    "TTCompile",
    "TTCompileError",
    "TTJit",
    "TTRun",
    "__version__",
    "cpu_init_params",
    "open_chips",
    "simulate",
    "torch_to_jax",
    "tt_compile",
    "tt_device",
    "tt_golden",
    "tt_jit",
    "tt_mesh",
    "tt_run",
    "tt_shared_mesh",
]

# Types of what the fixtures give, and what works outside pytest too; imported at first use.
_LAZY = {
    "CardProgram": "pytest_tt.tt_compiler.card_program",
    "Chips": "pytest_tt.standalone",
    "ChipsError": "pytest_tt.targets.target",
    "Golden": "pytest_tt.golden",
    "GoldenChecker": "pytest_tt.golden",
    "TTCompile": "pytest_tt.compiler.tt_compile",
    "TTCompileError": "pytest_tt.tt_compiler.errors",
    "TTJit": "pytest_tt.compiler.tt_jit",
    "TTRun": "pytest_tt.run",
    "open_chips": "pytest_tt.standalone",
    "simulate": "pytest_tt.standalone",
    "torch_to_jax": "pytest_tt.pytorch",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'pytest_tt' has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_tt import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


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
    config.stash[ISOLATION] = choose_isolation(config, session.settings, session.target)
    processes = getattr(config.option, "numprocesses", None)
    if isinstance(processes, int) and not hasattr(config, "workerinput"):
        try:
            session.target.check_workers(processes)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
    if processes:
        install_run_hooks(config)
    if session.settings.results.value is not None:
        from pytest_tt.results.plugin import register

        results = session.settings.results
        register(config, session.target, _place(config, str(results.value)), results.source)
    if (session.settings.compile.value or session.target.emulates) and not hasattr(config, "workerinput"):
        from pytest_tt.results.card_summary import CardSummary

        config.pluginmanager.register(CardSummary(), "pytest_tt_card_summary")
    if config.pluginmanager.has_plugin("html"):  # pytest-html
        from pytest_tt.results.html_columns import HtmlColumns

        columns = HtmlColumns(emulated=session.target.emulates)
        config.pluginmanager.register(columns, "pytest_tt_html_columns")
    _use_statuses(config, session.settings.status_file)


def _use_statuses(config: pytest.Config, setting: Setting[str | None]) -> None:
    path = config.rootpath / "tt_status.toml"
    if setting.value is not None:
        # An ini file names it from where it is itself, so that it does not matter where pytest is started.
        ini = config.inipath if setting.source.startswith("ini ") else None
        path = _place(config, setting.value) if ini is None else ini.parent / setting.value
    elif not path.is_file():
        return
    from pytest_tt.status.plugin import register

    register(config, path, setting.source)


def _start(config: pytest.Config, namespace: argparse.Namespace) -> None:
    settings = read_settings(config, namespace)
    target, child = choose_target(settings), is_child(config)
    artifacts = None
    if settings.artifacts.value is not None:
        artifacts = usable_directory(_place(config, settings.artifacts.value), settings.artifacts.source)
    session = config.stash[SESSION] = Session(settings, target, Reporting(config, quiet=child), artifacts)
    session.check_mock()
    session.check_compiler()
    session.check_explain()
    if child:
        target.borrow()
    target.prepare_jax(session.reporting.say)


def pytest_unconfigure(config: pytest.Config) -> None:
    if SESSION in config.stash:
        session_of(config).cache.close()


def pytest_report_header(config: pytest.Config) -> str:
    note = config.stash[ISOLATION].note
    return session_of(config).header(__version__) + (f", {note}" if note else "")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    return mesh_id(argname, val)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    shared = SHARED_MESH in metafunc.fixturenames
    if not shared and metafunc.definition.get_closest_marker("tt") is None:
        return
    from pytest_tt.marker import read_marker

    try:
        marker = read_marker(metafunc.definition.iter_markers("tt"), metafunc.definition.nodeid)
    except pytest.UsageError:
        # Raised again after collection, where it stops the run with its text alone and exit code 4.
        return
    session = session_of(metafunc.config)
    by_parameter = parametrized(metafunc.definition, TAKE_A_MESH)
    meshes: Sequence[MeshShape | None] = () if by_parameter else meshes_to_run(marker, session)
    ids: list[Any] = [str(mesh) for mesh in meshes]
    if shared and not meshes:
        one = marker.mesh[0] if marker is not None and marker.mesh is not None else session.settings.mesh.value
        meshes, ids = [None if SHARED_MESH in by_parameter else one], [pytest.HIDDEN_PARAM]
    if meshes:
        if MESH_PARAMETER not in metafunc.fixturenames:
            metafunc.fixturenames.append(MESH_PARAMETER)
        axes = marker.axes if marker is not None and marker.axes is not None else DEFAULT_AXES
        values = [(mesh, axes) for mesh in meshes]
        # The order of tests that share nothing stays as it is.
        scope: Literal["session", "function"] = "session" if shared else "function"
        metafunc.parametrize(MESH_PARAMETER, values, indirect=True, ids=ids, scope=scope)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    session = session_of(config)
    try:
        check_places(config, items)
        ours = [item for item in items if uses_tt(item, FIXTURES)]
        if session.settings.mesh.given:
            others = on_other_meshes(ours, session.settings.mesh.value)
            if others:
                left_out = set(others)
                ours = [item for item in ours if item not in left_out]
                items[:] = [item for item in items if item not in left_out]
                config.hook.pytest_deselected(items=others)
        for item in ours:
            recorder_of(item)
            obstacle = run_of(item).obstacle
            if obstacle is not None and not session.settings.require.value:
                item.add_marker(pytest.mark.skip(reason=obstacle))
        if config.pluginmanager.has_plugin("pytest_tt_statuses"):
            from pytest_tt.status.plugin import apply_statuses

            apply_statuses(config, ours)
        if session.target.groups_meshes:
            shapes = {item: str(run_of(item).mesh) for item in ours}
            order = {shape: place for place, shape in enumerate(dict.fromkeys(shapes.values()))}
            items.sort(key=lambda item: order.get(shapes.get(item, ""), -1))
        if any(config.getoption(name, False) for name in _RUN_NO_TEST):
            return
        if ours:
            install_run_hooks(config)
        needed = bool(ours) or session.settings.wanted
        session.provide([run_of(item) for item in ours], needed=needed)
        if needed and session.target.caches_programs:
            cache = getattr(config, "cache", None)
            default = lambda: None if cache is None else cache.mkdir("tt-compiled")  # noqa: E731
            session.cache.open(session.settings.compile_cache, default, _place(config, ""))
        if needed and not _isolate(config, session, items):
            session.hold_chips()
            _watch_interrupts(config, session)
    except pytest.UsageError as error:
        if not hasattr(config, "workerinput"):
            raise
        # An xdist worker that raises ends without a word; its collection errors do arrive.
        report = pytest.CollectReport(str(config.rootpath), "failed", f"ERROR: {error}", [])
        config.hook.pytest_collectreport(report=report)
        items.clear()


def pytest_collection_finish(session: pytest.Session) -> None:
    recorders = [recorder for recorder in map(find_recorder, session.items) if recorder is not None]
    if session_of(session.config).settings.results.value is not None:
        from pytest_tt.results.plugin import begin_rows

        begin_rows(session.config, [recorder.row for recorder in recorders])


def _isolate(config: pytest.Config, session: Session, items: list[pytest.Item]) -> bool:
    """Have other processes run the tests, if that is wanted and possible."""
    isolation = config.stash[ISOLATION]
    if not isolation.on:
        return False
    from pytest_tt.isolation.neighbours import needs_one_process
    from pytest_tt.isolation.parent import isolate

    why, hint = session.target.why_not_lent(), "move that code into a fixture"
    if why is None:
        why, hint = needs_one_process(config, items), "run these tests with --no-tt-isolate"
    if why is not None:
        if isolation.asked:
            raise pytest.UsageError(f"tests cannot be isolated: {why}; {hint}")
        session.reporting.say(f"tt: isolate off: {why}")
        return False
    cache = getattr(config, "cache", None)
    chips = session.lend_chips(None if cache is None else Path(cache.mkdir("tt-metal")))
    isolate(config, session, isolation.timeout, chips)
    return True


def _watch_interrupts(config: pytest.Config, session: Session) -> None:
    """Have Ctrl-C end this process, which is to run tests, wherever it is."""
    if hasattr(config, "workerinput") or config.option.usepdb or config.option.trace:
        return
    from pytest_tt.interrupt import InterruptWatch

    config.pluginmanager.register(InterruptWatch(session.target.interrupt_s, session.reporting), "pytest_tt_interrupt")


# Options that end a run after collection.
_RUN_NO_TEST = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")


def _place(config: pytest.Config, path: str) -> Path:
    """Where `path` of an option is: relative to where pytest was started, ``~`` is the home directory."""
    return Path(config.invocation_params.dir, Path(path).expanduser())
