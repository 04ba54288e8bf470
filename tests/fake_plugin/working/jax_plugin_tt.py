"""Fake of the JAX side of pjrt-plugin-tt, for tests only: no Tenstorrent hardware is involved.

It registers the platform ``tt`` the way the real wheel does (entry point, priority), with FAKE_CHIPS devices of the
CPU in the place of chips. What happens to it is noted in the file FAKE_LOG, one JSON object a line. While there is a
file FAKE_HUNG the chips are hung: they do not open, or hang whoever opens them if the file says "for ever".
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def initialize() -> None:
    """Called by jax when it discovers plugins."""
    from jax._src import compiler, xla_bridge
    from jax._src.lib import xla_client

    note("initialize", visible=os.environ.get("TT_VISIBLE_DEVICES"), linen_first="flax.linen" in sys.modules)

    def start() -> Any:
        hung = Path(os.environ.get("FAKE_HUNG") or "/nowhere")
        if hung.exists():
            note("hung")
            if hung.read_text() == "for ever":
                time.sleep(600)
            raise RuntimeError("chip 0 does not answer")
        note("open", chips=int(os.environ["FAKE_CHIPS"]))
        return xla_client.make_cpu_client(num_devices=int(os.environ["FAKE_CHIPS"]), asynchronous=True)

    xla_bridge.register_backend_factory("tt", start, priority=500, fail_quietly=False)
    real = compiler.get_compile_options

    def get_compile_options(*args: Any, env_options_overrides: Any = None, **kwargs: Any) -> Any:
        # The CPU compiler would refuse options that are Tenstorrent's: they are taken out here, and noted.
        if env_options_overrides:
            note("compile", options=dict(env_options_overrides))
        return real(*args, env_options_overrides=None, **kwargs)

    compiler.get_compile_options = get_compile_options


def note(event: str, **facts: object) -> None:
    """Append one event to the file FAKE_LOG, if there is one."""
    path = os.environ.get("FAKE_LOG")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")
