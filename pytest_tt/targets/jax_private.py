"""Everything that the plugin needs of jax's private API (``jax._src``), and nothing else does.

tests/test_jax_private.py names what is gone on a jax with which this no longer works. jax must be imported before.
"""

from __future__ import annotations

import functools
import inspect
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager


def started() -> bool:
    """Whether jax has started its backends."""
    from jax._src import xla_bridge

    return bool(xla_bridge.backends_are_initialized())


def register(platform: str, factory: Callable[[], Any]) -> None:
    """Let jax start `platform` by `factory`, unless it runs already; the host stays jax's default device.

    What others have registered for it is gone, and `refuse` does not hold for this.
    """
    from jax._src import xla_bridge

    if platform not in xla_bridge._backends:
        inspect.unwrap(xla_bridge.register_backend_factory)(platform, factory, priority=-50, fail_quietly=False)
        xla_bridge._topology_factories.pop(platform, None)


def refuse(platform: str, notice: Callable[[], None] = lambda: None) -> None:
    """From now on, whoever registers a plugin for `platform` has no effect: no library is loaded, `notice` is called.

    Who has taken the functions from jax before still calls the original ones.
    """
    from jax._src import xla_bridge

    for name in ("register_plugin", "register_backend_factory"):
        function = getattr(xla_bridge, name)
        if not hasattr(function, "__wrapped__"):
            setattr(xla_bridge, name, _refusing(function, platform, notice))


def _refusing(register: Callable[..., Any], platform: str, notice: Callable[[], None]) -> Callable[..., Any]:
    first = next(iter(inspect.signature(register).parameters))

    @functools.wraps(register)
    def register_others(*args: Any, **kwargs: Any) -> Any:
        if (args[0] if args else kwargs.get(first)) == platform:
            return notice()
        return register(*args, **kwargs)

    return register_others


def factory_of(platform: str) -> Any:
    """What was registered to start `platform`, None where nothing was."""
    from jax._src import xla_bridge

    registration = xla_bridge._backend_factories.get(platform)
    return None if registration is None else registration.factory


def client_of(platform: str) -> Any:
    """The running client of `platform`, None where there is none."""
    from jax._src import xla_bridge

    return xla_bridge._backends.get(platform)


def put_client(platform: str, client: Any) -> None:
    """Put `client` in the place of the running one of `platform`."""
    from jax._src import xla_bridge

    xla_bridge._backends[platform] = client
    xla_bridge.get_backend.cache_clear()


def name_default(platform: str) -> None:
    """Let ``jax.default_backend()`` say `platform` where its client is the default: XLA's CPU client says ``cpu``.

    Only the public name: within jax, ``cpu`` is what chooses the right lowering for such a client.
    """
    import jax
    from jax._src import xla_bridge

    original = jax.default_backend

    @functools.wraps(original)
    def default_backend() -> str:
        client = xla_bridge.get_backend()
        return platform if client is client_of(platform) else original()

    jax.default_backend = default_backend


def make_cpu_client(count: int) -> Any:
    """A CPU client of XLA with `count` devices."""
    from jax._src.lib import xla_client  # type: ignore[attr-defined]

    with _threads(2 * count):
        return xla_client.make_cpu_client(num_devices=count, asynchronous=True)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let a client made meanwhile have at least `count` threads.

    XLA gives it one a device. A loop that calls a program with collectives without waiting for the results then stands
    still for ever: the devices' next launches, as many as there are devices, wait for a place in the queue and hold the
    threads for which the running program waits. XLA reads the number from NPROC (tsl, ``DefaultThreadPoolSize``).
    """
    before = os.environ.get("NPROC")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usual = int(before) if before is not None and before.isdecimal() else cores
    os.environ["NPROC"] = str(max(count, usual))
    try:
        yield
    finally:
        if before is None:
            del os.environ["NPROC"]
        else:
            os.environ["NPROC"] = before


def around_discovery(context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Enter `context` whenever jax looks for plugins, which is the first thing it does to start its backends."""
    from jax._src import xla_bridge

    discover = xla_bridge._discover_and_register_pjrt_plugins

    def discover_within_context() -> None:
        with context():
            discover()  # type: ignore[no-untyped-call]

    xla_bridge._discover_and_register_pjrt_plugins = discover_within_context


@contextmanager
def pending_arrays_described() -> Iterator[None]:
    """Let ``repr`` of an array that is still being computed say so, instead of waiting for its values."""
    from jax._src.array import ArrayImpl

    original: Callable[[Any], str] = ArrayImpl.__repr__

    def describe(self: Any) -> str:
        # A deleted array is ready to say that it is deleted.
        if self.is_deleted() or self.is_ready():
            return original(self)
        return f"<Array of shape {self.shape} and dtype {self.dtype}, not computed yet>"

    ArrayImpl.__repr__ = describe  # type: ignore[method-assign]
    try:
        yield
    finally:
        ArrayImpl.__repr__ = original  # type: ignore[method-assign]


def around_compile_options(change: Callable[[Any, dict[str, Any]], Mapping[str, Any]]) -> None:
    """Let ``change(client, compiler_options)`` say which of a program's options reach the compiler of `client`."""
    from jax._src import compiler

    original: Callable[..., Any] = compiler.get_compile_options

    @functools.wraps(original)
    def get_compile_options(*args: Any, env_options_overrides: Any = None, backend: Any = None, **kwargs: Any) -> Any:
        if env_options_overrides:
            env_options_overrides = dict(change(backend, dict(env_options_overrides)))
        return original(*args, env_options_overrides=env_options_overrides, backend=backend, **kwargs)

    compiler.get_compile_options = get_compile_options


def spelled(options: Mapping[str, str]) -> dict[str, str]:
    """`options` of TT's compiler as this jax takes them: newer ones want ``optimization_level=1`` as ``O1``."""
    from jax._src import compiler

    spelled = dict(options)
    if hasattr(compiler, "CompilerEffortLevel") and "optimization_level" in spelled:
        spelled["optimization_level"] = f"O{spelled['optimization_level']}"
    return spelled


def tracing() -> bool:
    """Whether this is called while jax traces or transforms a function, even one whose arguments are not passed on."""
    from jax._src import core

    return not core.trace_state_clean()


def computes_at_once() -> bool:
    """Whether what is called now is computed at once: nothing around it but grad, vmap and the like, no tracing."""
    from jax._src import core
    from jax._src.interpreters import ad, batching, partial_eval

    at_once = (core.EvalTrace, ad.JVPTrace, ad.LinearizeTrace, batching.BatchTrace, partial_eval.JaxprTrace)
    trace: Any = core.trace_ctx.trace
    while isinstance(trace, at_once):
        trace = getattr(trace, "parent_trace", None)
    return trace is None


def trace_context() -> object:
    """The settings in force for which jax traces a function anew, hashable."""
    from jax._src import config

    return config.trace_context()


def cache_size(jitted: Any) -> int:
    """For how many signatures the function that jax.jit returned has a program ready."""
    return int(jitted._cache_size())


def value_behind(leaf: Any) -> Any:
    """The array that a tracer of grad, vmap and the like stands for; what is not a tracer stands for itself."""
    import jax

    while isinstance(leaf, jax.core.Tracer):
        leaf = getattr(leaf, "primal", getattr(leaf, "val", None))
    return leaf


def lower_for(traced: Any, platform: str) -> Any:
    """As ``traced.lower()``, for a platform that need not be there, and as for one that takes donated buffers."""
    from jax._src.interpreters import mlir

    donating = mlir._platforms_with_donation
    known = platform in donating
    if not known:
        donating.append(platform)
    try:
        return traced.lower(lowering_platforms=(platform,))
    finally:
        if not known:
            donating.remove(platform)


def placement_of(lowered: Any) -> tuple[tuple[int, ...], tuple[Any, ...], tuple[Any, ...]]:
    """Of a lowered program: which of its arguments it keeps, and the shardings of those and of its results.

    Where jax leaves it to the compiler, a sharding is none of jax's own, but a placeholder.
    """
    arguments = lowered._lowering.compile_args
    return (
        tuple(sorted(arguments["kept_var_idx"])),
        tuple(arguments["in_shardings"]),
        tuple(arguments["out_shardings"]),
    )


def prepare_compiling() -> None:
    """Import what `client_of_library` and `compile_module` need: a process that forks for each program does it once."""
    import jaxlib.mlir.ir  # noqa: F401


def client_of_library(platform: str, library: str) -> Any:
    """A client of the plugin in `library`, which jax itself does not know of."""
    from jax._src.lib import xla_client  # type: ignore[attr-defined]

    xla_client.load_pjrt_plugin_dynamically(platform, library)
    xla_client.initialize_pjrt_plugin(platform)
    return xla_client.make_c_api_client(platform, {}, None)


def compile_module(client: Any, module: bytes, devices: int, options: Mapping[str, str]) -> Any:
    """The executable of an MLIR module, compiled by `client` for its first `devices` devices.

    The options reach the compiler as they are: jax takes ``optimization_level`` for one of its own.
    """
    import numpy as np
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jax._src.lib import _jax  # type: ignore[attr-defined]
    from jaxlib.mlir import ir

    chosen = _jax.DeviceList(tuple(client.devices()[:devices]))
    assignment = np.arange(devices).reshape(1, devices)
    settings = compiler.get_compile_options(1, devices, device_assignment=assignment, backend=client)
    settings.env_option_overrides = list(options.items())
    with mlir.make_ir_context():
        parsed = ir.Module.parse(module)
        return compiler.backend_compile_and_load(client, parsed, chosen, settings, [])


def bind(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """The results of one equation of a jaxpr for its operands."""
    given = equation.primitive.get_bind_params(equation.params)
    functions, params = given if isinstance(given, tuple) else ((), given)  # before jax 0.9 or so: functions apart
    results = equation.primitive.bind(*functions, *operands, **params)
    return list(results) if equation.primitive.multiple_results else [results]


def tiles_of_outputs(executable: Any) -> list[tuple[list[int], list[list[int]]]] | None:
    """How the results of an executable are split among its devices; None if it does not say.

    Of each result the number of parts in each dimension, none if all devices hold all of it, and then for each device
    which part it holds.
    """
    from jax._src.lib import xla_client  # type: ignore[attr-defined]

    given = executable.get_output_shardings()
    if given is None:
        return None
    found: list[tuple[list[int], list[list[int]]]] = []
    for described in given:
        sharding = xla_client.HloSharding.from_proto(described)
        if sharding.is_replicated() or not (sizes := list(sharding.tile_assignment_dimensions())):
            found.append(([], []))
            continue
        others = int(sharding.replicate_on_last_tile_dim()) + len(sharding.subgroup_types())
        parts = sizes[: len(sizes) - others]
        devices = list(sharding.tile_assignment_devices())
        held: list[list[int]] = [[] for _ in devices]
        for position, device in enumerate(devices):
            place = []
            for size in reversed(sizes):
                position, at = divmod(position, size)
                place.append(at)
            held[device] = place[::-1][: len(parts)]
        found.append((parts, held))
    return found


def execute(client: Any, executable: Any, devices: int, arguments: Sequence[Any]) -> list[Any]:
    """Run an executable of `client` once with NumPy arrays, each the share of one device; all devices get the same.

    Gives the arrays of results, each by device, when they are ready.
    """
    import jax
    import numpy as np
    from jax._src.lib import xla_client  # type: ignore[attr-defined]
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    chosen = client.devices()[:devices]
    everywhere = NamedSharding(Mesh(np.array(chosen), ("device",)), PartitionSpec())
    placed = [
        xla_client.batched_device_put(
            jax.core.ShapedArray(array.shape, array.dtype), everywhere, [array] * devices, list(chosen), True
        )
        for array in arguments
    ]
    results: list[Any] = executable.execute_sharded(placed).disassemble_into_single_device_arrays()
    for arrays in results:
        for array in arrays:
            array.block_until_ready()
    return results
