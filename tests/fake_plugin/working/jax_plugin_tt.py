"""Fake of the JAX side of pjrt-plugin-tt, for tests only: no Tenstorrent hardware is involved.

It registers the platform ``tt`` the way the real wheel does (entry point, priority), with FAKE_CHIPS devices of the
CPU in the place of chips. What happens to it is noted in the file FAKE_LOG, one JSON object a line. While there is a
file FAKE_HUNG the chips are hung: they do not open, or hang whoever opens them if the file says "for ever". Whatever it
compiles, its serialized executables hold the one program below, with FAKE_TTNN=garbage something else.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

TTNN = """
#dram = #ttnn.buffer_type<dram>
#rows = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
func.func public @main(%arg0: tensor<4x4xf32, #rows>) -> tensor<4x4xf32, #rows> {
  %0 = "ttnn.matmul"(%arg0, %arg0) : (tensor<4x4xf32, #rows>, tensor<4x4xf32, #rows>) -> tensor<4x4xf32, #rows>
  %1 = "ttnn.all_reduce"(%0) <{cluster_axis = 1 : ui32}> : (tensor<4x4xf32, #rows>) -> tensor<4x4xf32, #rows>
  "ttnn.deallocate"(%0) <{force = false}> : (tensor<4x4xf32, #rows>) -> ()
  return %1 : tensor<4x4xf32, #rows>
}
"""


class Executable:
    """An executable that serializes as those of the wheel do."""

    def serialize(self) -> bytes:
        """TTIR, TTNN and flatbuffer, of which only TTNN is there."""
        text = TTNN.encode()
        if os.environ.get("FAKE_TTNN") == "garbage":
            return text
        return b"TTSERv00" + struct.pack("<6Q", 0, 0, 0, len(text), len(text), 0) + text


def initialize() -> None:
    """Called by jax when it discovers plugins."""
    import jax
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
    jax.stages.Compiled.runtime_executable = lambda self: Executable()


def note(event: str, **facts: object) -> None:
    """Append one event to the file FAKE_LOG, if there is one."""
    path = os.environ.get("FAKE_LOG")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")
