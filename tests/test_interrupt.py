"""One Ctrl-C ends a run without isolation, also where Python cannot react to it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# One chip of two never comes to the collective. jax's wait for it gives way to Ctrl-C; the one when jax is closed does
# not.
COLLECTIVE = """
    import threading
    from pathlib import Path
    import jax
    import numpy as np
    import pytest
    from jax.sharding import NamedSharding, PartitionSpec as P

    def late(x):
        if x[0] == 0:
            Path("waits").touch()
            threading.Event().wait()
        return x

    def wait(pending):
        pending.block_until_ready()

    @pytest.mark.tt(mesh="1x2")
    def test_waits(tt_mesh):
        def local(x):
            return jax.lax.psum(jax.pure_callback(late, jax.ShapeDtypeStruct(x.shape, x.dtype), x), "model")
        x = jax.device_put(np.arange(2, dtype=np.float32), NamedSharding(tt_mesh, P("model")))
        wait(jax.jit(jax.shard_map(local, mesh=tt_mesh, in_specs=P("model"), out_specs=P()))(x))

    def test_after(tt_run): pass
"""

# Native code that knows nothing of Ctrl-C: a lock that is taken twice.
NATIVE = """
    import ctypes
    from pathlib import Path

    def test_waits(tt_run):
        library, lock = ctypes.CDLL(None), (ctypes.c_byte * 64)()
        library.pthread_mutex_lock(lock)
        Path("waits").touch()
        library.pthread_mutex_lock(lock)

    def test_after(tt_run): pass
"""


# Reacts, and has a reason to stand still afterwards: at once, later, and where it stood before.
CATCHES = """
    import os
    import signal
    import threading
    import time
    from pathlib import Path
    import pytest

    def test_catches(tt_run):
        Path("waits").touch()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(4)

    def test_goes_on(tt_run):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(100):
                time.sleep(0.01)
        for _ in range(20):
            time.sleep(0.01)

    def test_tries_again(tt_run):
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
                time.sleep(60)
"""


def start(directory: Path, test: str) -> subprocess.Popen[str]:
    """Run `test` in `directory`."""
    command = [sys.executable, "-m", "pytest", "-p", "pytest_tt", "--no-tt-isolate", "--tt-results", "r.json", test]
    return subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_ctrl_c_ends_a_run_that_waits_for_ever(pytester: pytest.Pytester) -> None:
    made = []
    for name, text, presses in (("collective", COLLECTIVE, 1), ("native", NATIVE, 2), ("catches", CATCHES, 0)):
        directory = pytester.mkdir(name)
        (directory / "test_w.py").write_text("\n".join(line[4:] for line in text.splitlines()), encoding="utf-8")
        made.append((directory, start(directory, "test_w.py"), presses))
    outputs = {}
    try:
        for directory, process, presses in made:
            while not (directory / "waits").exists():
                assert process.poll() is None
                time.sleep(0.02)
            time.sleep(0.5)  # until it does wait
            for _ in range(presses):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
        for directory, process, presses in made:
            outputs[directory.name], _ = process.communicate(timeout=60)
            ended = pytest.ExitCode.INTERRUPTED if presses else pytest.ExitCode.OK
            assert process.returncode == ended, outputs[directory.name]
    finally:
        for _, process, _ in made:
            process.kill()
    # jax's wait gives way: pytest ends as ever, without waiting for the value of `pending` to show it.
    assert "KeyboardInterrupt !!" in outputs["collective"]
    assert "Traceback" not in outputs["collective"]
    line = "tt: interrupted, but this process waits in native code {}: it is ended"
    assert line.format("while jax is closed") in outputs["collective"]
    assert line.format("in test_w.py::test_waits") in outputs["native"]
    assert 'test_w.py", line 9 in test_waits' in outputs["native"]
    reasons = {
        "collective": ["not finished: the run ended during this test", "not run"],
        "native": ["interrupted while it waited in native code", "not run"],
    }
    for directory, _, _ in made[:2]:
        rows = json.loads((directory / "r.json").read_text(encoding="utf-8"))["tests"]
        assert [row["outcome"] for row in rows] == ["failed", "failed"]
        for row, reason in zip(rows, reasons[directory.name], strict=True):
            assert str(row["reason"]).startswith(reason)
