"""Tells, by name, what a new jax no longer has of the private API that backend/jax_private.py needs."""

from __future__ import annotations

import inspect
import subprocess
import sys


def test_private_jax_api_is_still_there() -> None:
    """Fails, naming what is gone, on a jax with which the simulated chips no longer work."""
    code = """
import inspect
from jax._src import xla_bridge as bridge
from jax._src.lib import xla_client
discover = "_discover_and_register_pjrt_plugins"
needed = ("register_backend_factory", "backends_are_initialized", "get_backend", "_backends", discover)
missing = [name for name in needed if not hasattr(bridge, name)]
assert not missing, f"jax._src.xla_bridge lacks {missing}"
assert {"priority", "fail_quietly"} <= set(inspect.signature(bridge.register_backend_factory).parameters)
assert discover + "()" in inspect.getsource(bridge.backends), "backends() discovers plugins another way"
assert hasattr(bridge.get_backend, "cache_clear"), "xla_bridge.get_backend is no longer cached, or in another way"
assert isinstance(bridge._backends, dict)
client = xla_client.make_cpu_client(num_devices=3, asynchronous=True)
assert client.device_count() == 3 and client.live_arrays() == []
from jax._src.array import ArrayImpl
missing = [name for name in ("is_ready", "is_deleted") if not hasattr(ArrayImpl, name)]
assert "__repr__" in vars(ArrayImpl) and not missing, f"jax._src.array.ArrayImpl lacks __repr__ or {missing}"
"""
    done = subprocess.run([sys.executable, "-c", inspect.cleandoc(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
