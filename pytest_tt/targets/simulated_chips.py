"""Simulated chips: a second CPU client of XLA, registered with jax under the platform name ``tt``.

``jax.devices("tt")`` then gives the chips and ``jax.devices("cpu")`` stays the host. The two are different clients, so
arrays committed to one do not silently mix with the other.

How many chips there are is known only after collection, while a conftest may start jax's backends at import. Then
``EARLY_CHIPS`` are started, and if the tests turn out to need more, the client is replaced by a larger one.
"""

from __future__ import annotations

import gc
import os
import sys
import types
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_tt.targets import jax_private, provider
from pytest_tt.targets.compiler_options import only_xla
from pytest_tt.targets.platforms import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

# When nothing says how many: as many as the largest boxes that JAX users have on a desk (T3K, LoudBox).
DEFAULT_CHIPS = 8
# When jax is started before the tests are known: a Galaxy. 32 chips start in 10 to 20 ms.
EARLY_CHIPS = 32

# XLA aborts the process when a participant of a collective is not given a core for 40 s. On a busy machine with fewer
# cores than chips that is a slow run, not a dead lock. (XLA flag, first jaxlib that knows it, seconds.) An unknown flag
# aborts the process too. Before jaxlib 0.8 the limit is 10 s and compiled in.
COLLECTIVE_TIMEOUTS = (
    ("xla_cpu_collective_call_warn_stuck_timeout_seconds", (0, 8, 0), 300),
    ("xla_cpu_collective_call_terminate_timeout_seconds", (0, 8, 0), 7200),
    ("xla_cpu_collective_timeout_seconds", (0, 8, 2), 7200),
)


class ChipsInUseError(RuntimeError):
    """More chips are needed than were started, and somebody holds arrays on those."""


class PlatformTakenError(RuntimeError):
    """Somebody else has started the platform ``tt`` in this process already."""


class SimulatedChips:
    """The simulated chips of this process. jax must be imported before any method is called."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._client: Any = None

    def attach(self) -> None:
        """Make the platform ``tt`` known to jax and keep everybody else from it; starts nothing.

        Raises PlatformTakenError where another plugin's ``tt`` runs already.
        """
        if jax_private.client_of(PLATFORM) is not None and not _is_ours(jax_private.factory_of(PLATFORM)):
            by = provider.names(provider.loaded_providers()) or "another plugin"
            raise PlatformTakenError(
                f"chips cannot be simulated: jax has started in this process already, with the platform {PLATFORM} of "
                f"{by}; load pytest-tt (-p pytest_tt) and start jax in a conftest, a hook or a fixture, not in the "
                "import of a plugin, or set JAX_PLATFORMS=cpu"
            )
        if not jax_private.started():
            set_collective_timeouts(os.environ)
        jax_private.register(PLATFORM, self._start)
        jax_private.refuse(PLATFORM)
        jax_private.around_discovery(self._alone)
        jax_private.around_compile_options(self._compile_options)

    def provide(self, count: int) -> None:
        """See to it that there are `count` chips or more; raises ChipsInUseError where arrays are in the way."""
        self._count = count
        if not jax_private.started():
            return
        client = jax_private.client_of(PLATFORM)
        if client is not None and client is self._client:
            started = client.device_count()
            if started >= count:
                return
            gc.collect()
            held = len(client.live_arrays())
            if held:
                raise ChipsInUseError(
                    f"{count} chips are needed, but code that ran while tests were collected started jax with "
                    f"{started} and keeps {held} array{'s' * (held > 1)} on them: move that code into a fixture, or "
                    f"give the number from the start, e.g. --tt-mesh 1x{count}"
                )
        # Started without enough chips, but nothing depends on the client yet: put a larger one in its place.
        jax_private.put_client(PLATFORM, self._start())

    def provide_at_least(self, count: int) -> None:
        """As `provide`, but chips that were asked for before stay."""
        if count > self._count:
            self.provide(count)

    def _compile_options(self, client: Any, options: dict[str, Any]) -> dict[str, Any]:
        """What XLA's CPU compiler, which refuses the options of TT's compiler, is to get of a program's options."""
        return only_xla(options) if client is self._client else options

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While jax looks for plugins, leave those for ``tt`` out; what they register all the same has no effect.

        The start of Tenstorrent's opens every chip, or aborts the process where there is none.
        """
        known = {found.module for found in provider.known_providers() if found.module is not None}
        with _inert_modules(known), _without_tt_library():
            yield
        jax_private.register(PLATFORM, self._start)

    def _start(self) -> Any:
        self._client = jax_private.make_cpu_client(self._count)
        return self._client


def set_collective_timeouts(environ: MutableMapping[str, str]) -> None:
    """Add the time-outs that this jaxlib knows to ``XLA_FLAGS``; what the user set there stays as it is."""
    from jaxlib import version

    present = environ.get("XLA_FLAGS", "")
    known = tuple(version.__version_info__)
    added = [
        f"--{flag}={value}" for flag, since, value in COLLECTIVE_TIMEOUTS if known >= since and flag not in present
    ]
    if added:
        environ["XLA_FLAGS"] = " ".join([present, *added]).strip()


def _is_ours(factory: Any) -> bool:
    """Whether `factory` is one of these classes' own, also one of an earlier run in this process."""
    return getattr(factory, "__module__", None) == __name__


@contextmanager
def _inert_modules(names: set[str]) -> Iterator[None]:
    """Put an empty plugin in the place of modules `names` for a while."""
    before = {name: sys.modules.get(name) for name in names}
    for name in names:
        inert = types.ModuleType(name)
        inert.initialize = lambda: None  # type: ignore[attr-defined]
        sys.modules[name] = inert
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


@contextmanager
def _without_tt_library() -> Iterator[None]:
    """Hide ``tt`` from PJRT_NAMES_AND_LIBRARY_PATHS (``name:path,name:path``) for a while."""
    variable = provider.LIBRARIES_VARIABLE
    before = os.environ.get(variable)
    if before is None:
        yield
        return
    os.environ[variable] = ",".join(part for part in before.split(",") if not part.startswith(f"{PLATFORM}:"))
    try:
        yield
    finally:
        os.environ[variable] = before
