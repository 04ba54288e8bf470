"""Other plugins and isolation: what they expect of a process with workers, and which of them failed in a child."""

from __future__ import annotations

import inspect
import sys
import uuid
from contextlib import contextmanager, suppress
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest

# How many lines of a traceback are shown.
_MOST_LINES = 60


# Plugins that do harm if tests are isolated: the fixture that tells, and why.
_ONE_PROCESS = {
    "syrupy": (
        "snapshot",
        "syrupy would delete all snapshots, because the process that started the run does not see them used",
    )
}


def needs_one_process(config: pytest.Config, items: Iterable[pytest.Item]) -> str | None:
    """Why `items` cannot be isolated with the installed plugins; None if they can."""
    for plugin, (fixture, why) in _ONE_PROCESS.items():
        if config.pluginmanager.has_plugin(plugin):
            user = next((item for item in items if fixture in getattr(item, "fixturenames", ())), None)
            if user is not None:
                return f"{why} ({user.nodeid} uses the fixture {fixture})"
    return None


def worker_input(config: pytest.Config) -> dict[str, Any]:
    """``config.workerinput`` of a child: that of its parent if it is an xdist worker, else a similar one."""
    own: dict[str, Any] | None = getattr(config, "workerinput", None)
    if own is None:
        own = {"workerid": "master", "workercount": 1, "testrunuid": uuid.uuid4().hex, "mainargv": sys.argv}
        # Plugins prepare here what they look for in a worker.
        node = SimpleNamespace(config=config, workerinput=own, gateway=SimpleNamespace(id="master"))
        for prepare in _preparations(config):
            with suppress(Exception):  # some need more of xdist than this
                prepare(node)
        _serve_retries(config, own)
    plain = (str, int, float, bool, list, dict, type(None))
    return {key: value for key, value in own.items() if isinstance(value, plain) and not key.startswith("tt_")}


def _preparations(config: pytest.Config) -> Iterator[Callable[[Any], object]]:
    """All implementations of xdist's hook ``pytest_configure_node``.

    pytest-randomly and others register the class that has it only if xdist is installed: those are called too.
    """
    hook = getattr(config.hook, "pytest_configure_node", None)
    registered = [] if hook is None else hook.get_hookimpls()
    for implementation in registered:
        yield implementation.function
    known = {type(implementation.plugin) for implementation in registered}
    for plugin in config.pluginmanager.get_plugins():
        for thing in list(vars(plugin).values()) if inspect.ismodule(plugin) else ():
            if inspect.isclass(thing) and thing not in known and hasattr(thing, "pytest_configure_node"):
                known.add(thing)
                yield _of_new(thing)


def _of_new(kind: type[Any]) -> Callable[[Any], object]:
    return lambda node: kind().pytest_configure_node(node)


def _serve_retries(config: pytest.Config, own: dict[str, Any]) -> None:
    """Start the server to which workers send what pytest-retry reports at the end, as it does itself under ``-n``."""
    plugin: Any = config.pluginmanager.get_plugin("pytest-retry")
    if plugin is not None and "server_port" not in own:
        with suppress(Exception):  # another version: the child says what is missing
            server = plugin.ReportServer()
            own["server_port"] = server.initialize_server()
            plugin.retry_manager.reporter = server


@contextmanager
def reruns_reported(config: pytest.Config) -> Iterator[None]:
    """Have pytest-rerunfailures report each rerun: without xdist it does not do so in a worker."""
    manager, own = config.pluginmanager, vars(config)
    if not manager.has_plugin("rerunfailures") or manager.has_plugin("xdist") or "workerinput" not in own:
        yield
        return
    kept = own.pop("workerinput")
    try:
        yield
    finally:
        own["workerinput"] = kept


def describe_failure(config: pytest.Config, excinfo: pytest.ExceptionInfo[BaseException], text: str) -> str:
    """Why this child cannot get ready; the first line names the plugin or conftest whose hook raised.

    `text` is the traceback to show.
    """
    plugin = _raising_plugin(config, excinfo)
    error = excinfo.exconly().strip().splitlines()[-1]
    if plugin is None:
        return f"{error}\n\n{_last_lines(text)}"
    label, name = _names(config, plugin)
    if name.endswith(".py"):
        advice = "skip that if config has it, or run without isolation (--no-tt-isolate)"
    else:
        advice = f"run without that plugin (-p no:{name}), or without isolation (--no-tt-isolate)"
    return (
        f"{label} raised {error}\n\n"
        "The test process has config.workerinput, as a worker of pytest-xdist has. If that is the cause: "
        f"{advice}.\n\n{_last_lines(text)}"
    )


def _raising_plugin(config: pytest.Config, excinfo: pytest.ExceptionInfo[BaseException]) -> object | None:
    """The plugin whose hook was the last one called."""
    raising = None
    for caller, called in pairwise(excinfo.traceback):
        if str(caller.frame.f_globals.get("__name__")).startswith("pluggy."):
            module = called.frame.f_globals.get("__name__")
            raising = next(
                (plugin for plugin in config.pluginmanager.get_plugins() if _module(plugin) == module), raising
            )
    return raising


def _module(plugin: object) -> str:
    return plugin.__name__ if inspect.ismodule(plugin) else type(plugin).__module__


def _names(config: pytest.Config, plugin: object) -> tuple[str, str]:
    """The distribution or name of `plugin`, and the name by which ``-p no:`` turns it off."""
    manager = config.pluginmanager
    name = manager.get_name(plugin) or _module(plugin)
    package = _module(plugin).partition(".")[0]
    for other, distribution in manager.list_plugin_distinfo():
        if _module(other).partition(".")[0] == package:
            return f"{distribution.project_name} {distribution.version}", manager.get_name(other) or name
    return name, name


def _last_lines(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join(["[…]", *lines[-_MOST_LINES:]] if len(lines) > _MOST_LINES else lines)
