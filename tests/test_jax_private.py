"""Tells, by name, what a new jax no longer has of the private API that targets/jax_private.py needs."""

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
from jax._src.array import ArrayImpl
missing = [name for name in ("is_ready", "is_deleted") if not hasattr(ArrayImpl, name)]
assert "__repr__" in vars(ArrayImpl) and not missing, f"jax._src.array.ArrayImpl lacks __repr__ or {missing}"
"""
    done = subprocess.run([sys.executable, "-c", inspect.cleandoc(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_private_api_of_tracing_and_compiling_is_still_there() -> None:
    """Fails, naming what is gone, on a jax with which tt_jit and options of TT's compiler no longer work."""
    code = """
import inspect
import jax
import numpy as np
from jax._src import compiler, config, core
from jax._src.interpreters import ad, batching, partial_eval, pxla
parameters = set(inspect.signature(compiler.get_compile_options).parameters)
assert {"env_options_overrides", "backend"} <= parameters, "compiler.get_compile_options has other parameters"
source = inspect.getsource(pxla.create_compile_options)
assert "compiler.get_compile_options(" in source, "pxla makes compile options another way"
assert "env_options_overrides=" in source and "backend=backend" in source, "pxla passes options another way"
assert hasattr(core, "trace_state_clean") and hasattr(core.trace_ctx, "trace"), "core has no trace_ctx any more"
traces = {core: "EvalTrace", ad: "JVPTrace", batching: "BatchTrace", partial_eval: "JaxprTrace"}
missing = [name for module, name in traces.items() if not hasattr(module, name)]
assert not missing and hasattr(ad, "LinearizeTrace"), f"jax._src lacks {missing or 'LinearizeTrace'}"
before = config.trace_context()
with jax.default_matmul_precision("highest"):
    assert config.trace_context() != before, "config.trace_context does not tell settings apart"
assert config.trace_context() == before and hash(before) == hash(config.trace_context())

from pytest_tt.targets import jax_private
seen = []
def note(x):
    seen.append((jax_private.tracing(), jax_private.computes_at_once(), jax_private.value_behind(x)))
    return 2 * x
x = jax.numpy.float32(3)
note(x), jax.grad(note)(x), jax.vmap(note)(x[None]), jax.eval_shape(note, x)
assert [kinds[:2] for kinds in seen] == [(False, True), (True, True), (True, True), (True, False)], seen
assert seen[1][2] == x and seen[2][2].shape == (1,), f"the values of tracers are elsewhere: {seen}"
f = jax.jit(note)
assert jax_private.cache_size(f) == 0
f(x)
assert jax_private.cache_size(f) == 1, "a jitted function does not tell its cache's size"
lowered = [f.lower(x) for _ in range(2)]
assert lowered[0].compiler_ir() is lowered[1].compiler_ir(), "jax no longer keeps what it lowered"
"""
    done = subprocess.run([sys.executable, "-c", inspect.cleandoc(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_private_api_of_lowering_for_tt_is_still_there() -> None:
    """Fails, naming what is gone, on a jax with which programs no longer reach TT's compiler."""
    code = """
import inspect
import jax
import numpy as np
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lib import _jax, xla_client
from jaxlib.mlir import ir
from pytest_tt.targets import jax_private
from pytest_tt.tt_compiler.artifact import serialized

missing = [
    name
    for name in ("load_pjrt_plugin_dynamically", "initialize_pjrt_plugin", "make_c_api_client")
    if not hasattr(xla_client, name)
]
assert not missing, f"jax._src.lib.xla_client lacks {missing}"
jax_private.prepare_compiling()
parameters = list(inspect.signature(compiler.backend_compile_and_load).parameters)
assert parameters == ["backend", "module", "executable_devices", "options", "host_callbacks"], parameters
assert isinstance(mlir._platforms_with_donation, list), "jax knows in another way who takes donated buffers"
before = list(mlir._platforms_with_donation)

f = jax.jit(lambda x, unused, y: x @ y, donate_argnums=0)
shape = jax.ShapeDtypeStruct((4, 4), np.float32)
lowered = jax_private.lower_for(f.trace(shape, shape, shape), "tt")
assert mlir._platforms_with_donation == before, "a platform stayed in jax's list"
assert "aliasing_output" in lowered.as_text(), "donated buffers are not passed on"
kept, arguments, results = jax_private.placement_of(lowered)
assert kept == (0, 2) and len(arguments) == 2 and len(results) == 1, (kept, arguments, results)

settings = compiler.get_compile_options(1, 1, device_assignment=np.zeros((1, 1), int))
settings.env_option_overrides = [("optimization_level", "1")]
assert settings.env_option_overrides == [("optimization_level", "1")], "options of the compiler go another way"
client = jax.devices("cpu")[0].client
executable = jax_private.compile_module(client, lowered.as_text().encode(), 1, {})
assert len(serialized(executable)) > 100, "an executable is serialized in another way"
twos = np.full((4, 4), 2, np.float32)
((result,),) = jax_private.execute(client, executable, 1, [np.eye(4, dtype=np.float32), twos])
assert (np.asarray(result) == twos).all(), "an executable runs in another way"
"""
    done = subprocess.run([sys.executable, "-c", inspect.cleandoc(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
