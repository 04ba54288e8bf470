"""Everything that the plugin needs of jax's private API (``jax._src``), and nothing else does.

tests/test_jax_private.py names what is gone on a jax with which this no longer works. jax must be imported before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
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


def make_cpu_client(count: int) -> Any:
    """A CPU client of XLA with `count` devices."""
    from jax._src.lib import xla_client  # type: ignore[attr-defined]

    return xla_client.make_cpu_client(num_devices=count, asynchronous=True)


def around_discovery(context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Enter `context` whenever jax looks for plugins, which is the first thing it does to start its backends."""
    from jax._src import xla_bridge

    discover = xla_bridge._discover_and_register_pjrt_plugins

    def discover_within_context() -> None:
        with context():
            discover()  # type: ignore[no-untyped-call]

    xla_bridge._discover_and_register_pjrt_plugins = discover_within_context
