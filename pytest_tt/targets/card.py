"""Tenstorrent chips, through a plugin for jax, as a target: are there any, and what to do before jax starts.

Nothing here imports the plugin: its native part opens every chip, and aborts the process where there is none.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_tt.targets import provider
from pytest_tt.targets.detection import UNKNOWN, VISIBLE_VARIABLE, DetectedSystem, detect, is_bdf_pattern
from pytest_tt.targets.jax_import import when_imported
from pytest_tt.targets.lent import LentChips
from pytest_tt.targets.lock import ChipLock
from pytest_tt.targets.platforms import PLATFORM, use_host_only
from pytest_tt.targets.process import PROCESS
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.targets.target import ChipsError, Resolved, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from pytest_tt.targets.mesh import MeshShape
    from pytest_tt.targets.target import Request, Say

# Variables of TT's client (tt-xla client_instance.cc, tt-metal rtoptions.cpp) that let it work without a chip.
_NOT_ON_CHIPS = {
    "TT_COMPILE_ONLY_SYSTEM_DESC": "compiled only: NOTHING IS EXECUTED, outputs are zeros",
    "TT_METAL_MOCK_CLUSTER_DESC_PATH": "on a mock device: NOTHING IS COMPUTED, outputs are zeros",
    "TT_METAL_SIMULATOR": "on a simulator of a chip, NOT ON A CHIP",
}
_NO_NODES = (
    "expected device nodes below /dev/tenstorrent; load the driver (tt-kmd), pass the devices into the container"
)


@dataclass(frozen=True)
class CardTarget(Target):
    """The Tenstorrent chips of this machine."""

    name = "hw"
    title = "real chips"
    occupied = "this process runs on real chips"
    elsewhere = "open real ones in another one"
    rounds_float32 = True
    compiled_by_tt = True
    groups_meshes = True  # TT's client closes and reopens the mesh whenever its shape changes
    isolates = True
    time_limit_s = 1800.0  # compiling a large model for the card takes minutes, not hours
    interrupt_s = 15.0

    detected: DetectedSystem = field(default_factory=DetectedSystem.none)
    providers: tuple[provider.Provider, ...] = ()
    """The plugins that register the platform; the first is the one that jax gets."""

    @classmethod
    def for_request(cls, request: Request) -> Self:
        """The chips that this machine shows. Raises ValueError where jax would not get them."""
        return cls.of(detect(), request)

    @classmethod
    def of(cls, detected: DetectedSystem, request: Request) -> Self:
        """The chips of `detected`, which must be there: jax would abort the process, or not know the platform."""
        why_not = missing(detected)
        if why_not is not None:
            hint = provider.INSTALL if detected.chips else _NO_NODES
            raise ValueError(f"backend {cls.name}: {why_not}: {hint}, or use --tt-backend sim")
        return cls.because(request.source, detected, request)

    @classmethod
    def because(cls, why: str, detected: DetectedSystem, request: Request) -> Self:
        """The chips of `detected`, for the reason `why`. Raises ValueError unless they are the system asked for."""
        if request.system is not None:
            expected_system(detected, request.system)
        providers = provider.find_providers()
        why = ", ".join([why, provider.choice(providers), *not_on_chips(os.environ)])
        return cls(why, detected.system, detected.chips, detected.description, request, detected, providers)

    @property
    def similar_system(self) -> str | None:
        """The one of the same cards: two n300 have the chips of an n300."""
        return self.system or self.detected.similar_system

    @property
    def packages(self) -> dict[str, str | None]:
        """The plugin, where it is a package."""
        return {each.name: each.version for each in self.providers[:1] if each.module is not None}

    def attach(self, say: Say) -> None:
        """Do what must happen before jax starts on the chips; whatever starts it waits for them first."""
        from pytest_tt.targets import jax_private

        PROCESS.target = self
        prepare(self.detected)
        self.allow_platform()
        # A test or a conftest may start jax though no test asks for chips by marker or fixture.
        with suppress(AttributeError, ImportError):
            jax_private.around_discovery(partial(self._held, say))

    @contextmanager
    def _held(self, say: Say) -> Iterator[None]:
        """While jax starts: hold the chips if it may open them."""
        import jax

        platforms: str | None = jax.config.jax_platforms  # type: ignore[attr-defined]
        if not platforms or self.platform in platforms.split(","):
            self.hold(say)
        with provider.hidden(self.providers[1:]):
            yield

    @property
    def settled(self) -> bool:
        """Whether jax has started on the chips."""
        return _has_client(self.platform)

    def hold(self, say: Say) -> None:
        """Wait for the chips and hold them as long as this process lives. Raises ChipsError if they stay taken."""
        if PROCESS.lock is not None or PROCESS.lent:
            return
        lock = ChipLock(self.detected, timeout_s=self.request.lock_timeout_s, say=say)
        try:
            lock.acquire()
        except OSError as error:  # TimeoutError too: the chips did not come free, or the lock cannot be used
            raise ChipsError(str(error)) from None
        PROCESS.lock = lock

    def borrow(self) -> None:
        """Do not wait for the chips: they are held for this process."""
        PROCESS.lent = True

    def check_workers(self, processes: int) -> None:
        """One process at a time can open the chips."""
        if processes > 1:
            raise ValueError(
                f"-n {processes}: one process at a time can open the chips of {self.description}; use -n 1 or no -n, "
                "or --tt-backend sim"
            )

    def why_not_lent(self) -> str | None:
        """This process must not have opened the chips itself."""
        if not _has_client(self.platform):
            return None
        return "code that ran while tests were collected started jax, so this process has the chips"

    def lend(self, say: Say, *, may_reset: bool, cache: Path | None) -> LentChips:
        """Hold the chips for other processes; jax gets the host alone in this one."""
        self.hold(say)
        when_imported("jax", use_host_only)
        assert PROCESS.lock is not None
        return LentChips(self.detected, PROCESS.lock.descriptors, may_reset, cache)

    def compiler_options(self, tt: Mapping[str, str], xla: Mapping[str, Any]) -> dict[str, Any]:
        """TT's; XLA's own are left out."""
        from pytest_tt.targets import jax_private

        return dict(jax_private.spelled(tt))

    def write_artifacts(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        prefix: Path,
        options: Mapping[str, str],
    ) -> None:
        """TTIR, TTNN and flatbuffer, by the package that comes with TT's plugin."""
        from tt_jax import serialize_compiled_artifacts_to_disk

        from pytest_tt.targets import jax_private

        serialize_compiled_artifacts_to_disk(
            function, *args, output_prefix=str(prefix), compiler_options=jax_private.spelled(options), **kwargs
        )

    def resolve(self, mesh: MeshShape, wanted: tuple[str, ...]) -> Resolved:
        """The system that was found, whatever was asked for."""
        return replace(super().resolve(mesh, wanted), source="detected")


def missing(detected: DetectedSystem) -> str | None:
    """Why jax would not get chips of `detected`; None where it would."""
    if not detected.chips:
        return f"{detected.description} found"
    if not provider.find_providers():
        return f"{detected.description} found but {_what_is_missing()}"
    return None


def not_on_chips(environ: Mapping[str, str]) -> list[str]:
    """What a run must say of itself where variables of `environ` keep the plugin off the chips."""
    return [f"{says} ({name} is set)" for name, says in _NOT_ON_CHIPS.items() if environ.get(name)]


def _has_client(platform: str) -> bool:
    """Whether jax has started `platform` in this process."""
    if "jax" not in sys.modules:
        return False
    from pytest_tt.targets import jax_private

    return jax_private.client_of(platform) is not None


def expected_system(detected: DetectedSystem, name: str) -> None:
    """Raise ValueError unless `detected` is the system called `name`: tests would run on chips not meant."""
    if detected.system == name:
        return
    chips = SYSTEMS[name].chips
    wanted = f"{name} ({chips} chip{'s' if chips > 1 else ''})"
    if any(board.card == UNKNOWN for board in detected.boards):
        hint = "the driver does not tell the card's type; update tt-kmd and firmware, or leave the system out"
    else:
        hint = f"name {detected.system}, or leave the system out" if detected.system else "leave the system out"
    raise ValueError(f"system {wanted} expected, but this machine has {detected.description}: {hint}")


def prepare(detected: DetectedSystem) -> None:
    """What must happen before jax starts its backends on the chips of `detected`.

    Integers in TT_VISIBLE_DEVICES become PCI addresses, because every one but 0 is refused further down
    (tt-xla#5521); flax.linen is imported, because TT's plugin marks the weights of its modules only if it is
    there first.
    """
    visible = os.environ.get(VISIBLE_VARIABLE)
    if visible is not None:
        os.environ[VISIBLE_VARIABLE] = visible_addresses(visible, detected)
    if provider.findable("flax"):
        importlib.import_module("flax.linen")


def visible_addresses(visible: str, detected: DetectedSystem) -> str:
    """`visible` of TT_VISIBLE_DEVICES with the PCI addresses of `detected` for indices, where they are known."""
    tokens = [token.strip() for token in visible.split(",")]
    addresses = [board.bdf for board in detected.boards if board.bdf is not None]
    if any(token and not is_bdf_pattern(token) for token in tokens) and len(addresses) == len(detected.boards):
        return ",".join(addresses)
    return visible


def _what_is_missing() -> str:
    """Why jax would not get a ``tt`` platform, where it would not."""
    for name, version in provider.known_distributions():
        return f"{name} {version} is broken (no importable entry point in group {provider.GROUP})"
    return f"no plugin for jax registers {PLATFORM}"
