"""Whether the tests of a run are isolated, and how long one may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_tt.options import Setting

if TYPE_CHECKING:
    from pytest_tt.options import Settings
    from pytest_tt.targets.target import Target

# The plugin that a child has from its beginning.
CHILD = "pytest_tt_isolated"

# Options that show or ask something while a test runs, in the process that has the terminal.
_IN_THIS_PROCESS = {"usepdb": "--pdb", "trace": "--trace", "setupshow": "--setup-show", "setuponly": "--setup-only"}


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whether tests run in a process of their own."""

    on: bool
    timeout: Setting[float]
    """Seconds that one test may take, from its set-up to the end of its teardown; 0 for any number."""
    note: str = ""
    """What the report header says of it; empty where there is nothing to say."""
    asked: bool = False
    """Whether somebody asked for it, rather than that it is the default of the target."""


ISOLATION: pytest.StashKey[Isolation] = pytest.StashKey()


def is_child(config: pytest.Config) -> bool:
    """Whether this process runs tests for another one."""
    return config.pluginmanager.has_plugin(CHILD)


def choose_isolation(config: pytest.Config, settings: Settings, target: Target) -> Isolation:
    """Whether to isolate. Raises pytest.UsageError for a time limit on the command line that could not be kept."""
    if is_child(config):
        return Isolation(False, Setting(0.0, "default"))
    if settings.timeout.value is None:
        timeout = Setting(target.time_limit_s, f"default on {target.name}" if target.time_limit_s else "default")
    else:
        timeout = Setting(settings.timeout.value, settings.timeout.source)
    isolate = settings.isolate
    if not (target.isolates if isolate.value is None else isolate.value):
        # With --tt-compile it also limits TT's compiler, which has a process of its own.
        if timeout.value and timeout.source == "--tt-timeout" and not settings.compile.value:
            raise pytest.UsageError(
                f"--tt-timeout {timeout.value:g}: a test that hangs can be ended only in a process of its own: add "
                "--tt-isolate"
            )
        return Isolation(False, timeout)
    blocker = next((flag for name, flag in _IN_THIS_PROCESS.items() if config.getoption(name, False)), None)
    if blocker is None and any(not isinstance(plugin, str) for plugin in config.invocation_params.plugins or ()):
        blocker = "plugin objects given to pytest.main"
    if blocker is not None:
        return Isolation(False, timeout, f"isolate off ({blocker})")
    note = f"isolate ({isolate.source if isolate.given else f'default on {target.name}'}"
    if timeout.value:
        note += f"; timeout {timeout.value:g} s, {timeout.source}"
    if settings.reset.value:
        note += f"; reset, {settings.reset.source}"
    return Isolation(True, timeout, note + ")", asked=isolate.given)
