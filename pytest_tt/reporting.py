"""What a run says while it runs: lines for the user, and how far each test has come."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class Listener:
    """Base of the plugins that are told how far tests have come, for the case that this process dies."""

    def phase_reached(self, nodeid: str, phase: str) -> None:
        """Test `nodeid` has come to `phase`."""

    def compiling(self, program: str | None) -> None:
        """TT's compiler works on `program`, within its own time limit; None: it is done."""

    def interrupted(self, nodeid: str, phase: str) -> None:
        """The process is about to end in `phase` of test `nodeid`."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where lines and phases of the run with `config` go."""

    config: pytest.Config
    quiet: bool = False
    """Whether another process says the same lines."""

    def say(self, line: str) -> None:
        """Show `line` at once; an xdist worker has no terminal of its own, but its stderr is the user's."""
        if self.quiet:
            return
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or hasattr(self.config, "workerinput"):
            print(line, file=sys.__stderr__, flush=True)
        else:
            reporter.ensure_newline()
            reporter.write_line(line)
            reporter.flush()

    def phase_reached(self, nodeid: str, phase: str) -> None:
        """Tell every listener that test `nodeid` has come to `phase`."""
        for listener in self._listeners():
            listener.phase_reached(nodeid, phase)

    def compiling(self, program: str | None) -> None:
        """Tell every listener that TT's compiler works on `program`, or on none any more."""
        for listener in self._listeners():
            listener.compiling(program)

    def interrupted(self, nodeid: str, phase: str) -> None:
        """Tell every listener that the process is about to end in `phase` of test `nodeid`."""
        for listener in self._listeners():
            listener.interrupted(nodeid, phase)

    def _listeners(self) -> Iterator[Listener]:
        return (plugin for plugin in self.config.pluginmanager.get_plugins() if isinstance(plugin, Listener))
