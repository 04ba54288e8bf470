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
needed = (
    "register_backend_factory", "register_plugin", "backends_are_initialized", "get_backend", "_backends",
    "_backend_factories", "_topology_factories", discover,
)
missing = [name for name in needed if not hasattr(bridge, name)]
assert not missing, f"jax._src.xla_bridge lacks {missing}"
assert {"priority", "fail_quietly"} <= set(inspect.signature(bridge.register_backend_factory).parameters)
names = [next(iter(inspect.signature(getattr(bridge, name)).parameters)) for name in needed[:2]]
assert names == ["name", "plugin_name"], f"the platform is no longer the first parameter: {names}"
assert hasattr(bridge._backend_factories["cpu"], "factory"), "the registration of a platform has another form"
assert "register_backend_factory(" in inspect.getsource(bridge.register_plugin)
assert discover + "()" in inspect.getsource(bridge.backends), "backends() discovers plugins another way"
assert hasattr(bridge.get_backend, "cache_clear"), "xla_bridge.get_backend is no longer cached, or in another way"
assert isinstance(bridge._backends, dict)
client = xla_client.make_cpu_client(num_devices=3, asynchronous=True)
assert client.device_count() == 3 and client.live_arrays() == []
"""
    done = subprocess.run([sys.executable, "-c", inspect.cleandoc(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
