"""Everything that the plugin needs of jax's private API (``jax._src``), and nothing else does.

tests/test_jax_private.py names what is gone on a jax with which this no longer works. jax must be imported before.
"""

from __future__ import annotations

import functools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


def started() -> bool:
    """Whether jax has started its backends."""
    from jax._src import xla_bridge

    return bool(xla_bridge.backends_are_initialized())


def register(platform: str, factory: Callable[[], Any]) -> None:
    """Let jax start `platform` by `factory`, unless it runs already; the host stays jax's default device."""
    from jax._src import xla_bridge

    if platform not in xla_bridge._backends:
        xla_bridge.register_backend_factory(platform, factory, priority=-50, fail_quietly=False)


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
