"""Starts pytest in a child. Run as a script; its only argument is the socket's file descriptor.

Nothing of this package is imported here: pytest must import the plugin first, or it cannot rewrite its assertions and
warns.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    """Read the parent's first message and run pytest as it says."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    with sock.makefile("r", encoding="ascii") as file:
        start = json.loads(file.readline())
    sys.path[:] = start["path"]
    sys.argv[:] = start["argv"]
    _die_with(start["parent"])
    # A shell starts background jobs with SIGINT ignored, and Python keeps it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import pytest

    class Bootstrap:
        """Takes the place of the real plugin until all other plugins are loaded."""

        __name__ = start["plugin"]  # pluggy takes it as the plugin's name

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
            from pytest_tt.isolation.child import ChildPlugin

            child = ChildPlugin(sock, start)
            try:
                child.change(config)
                config.pluginmanager.register(child)
                return (yield)
            except pytest.UsageError as error:
                child.tell_unready(config, pytest.ExceptionInfo.from_exception(error), f"ERROR: {error}")
                raise

    with sock:
        sys.exit(pytest.main(start["args"], plugins=[Bootstrap()]))


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends: nothing else would end a test that hangs."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
