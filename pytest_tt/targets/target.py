"""What tests run on: the interface of every kind of target.

A kind is a subclass with a file of its own in this room, named in `pytest_tt.targets.choice.KINDS`; nothing else in the
plugin knows which kinds exist. A target holds facts only and never changes: what this process has of its chips is in
`pytest_tt.targets.process`. Importing a kind imports neither jax nor numpy.
"""

# ruff: noqa: B027 - what a method does where a kind does not say otherwise is often nothing

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_tt.targets.jax_import import when_imported
from pytest_tt.targets.platforms import PLATFORM, allow_chips, put_chips_first, set_host_devices, use_chips

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    import jax

    from pytest_tt.targets.lent import LentChips
    from pytest_tt.targets.mesh import MeshShape

    Say = Callable[[str], None]
    """Shows the user a line at once."""


class ChipsError(RuntimeError):
    """There are no such chips, or this process cannot have them; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run or a script asks of its target."""

    backend: str = "auto"
    source: str = "default"
    """Where `backend` came from, e.g. ``--tt-backend``."""
    system: str | None = None
    """A name of `pytest_tt.targets.systems.SYSTEMS`: what to simulate, or what must be there."""
    system_source: str = "default"
    mesh: MeshShape | None = None
    """None where nobody asked for one."""
    lock_timeout_s: float = 600.0
    host_devices: bool = False
    """Whether the host is to have as many devices as TT-XLA's own tests give it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The system that one test runs on."""

    system: str | None
    source: str
    """Where `system` came from: ``--tt-system``, ``marker``, ``detected`` …"""
    obstacle: str | None
    """Why the test cannot run there; None where it can."""


@dataclass(frozen=True)
class Target(ABC):
    """The chips of one run. Subclasses say what is different from chips that anybody can have at any time."""

    why: str
    """Where the choice came from, e.g. ``--tt-backend`` or ``auto: no card found``."""
    system: str | None
    """Name of the system; None for one that has no name, or where any system can be had."""
    chips: int | None
    """Chips of the system; None where as many can be had as are needed."""
    description: str
    """The system in words, e.g. ``n300 (2 chips)``."""
    request: Request = field(default_factory=Request, repr=False, compare=False)

    name: ClassVar[str]
    """What ``--tt-backend``, the results document and `TTRun.backend` call it."""
    title: ClassVar[str]
    """What its chips are, e.g. ``simulated chips``."""
    adjective: ClassVar[str] = ""
    """What stands before the name of a system that is not a real one: ``simulated``."""
    platform: ClassVar[str] = PLATFORM
    """jax's name of the platform whose devices the chips are."""
    occupied: ClassVar[str]
    """What to say of a process that has these chips."""
    elsewhere: ClassVar[str]
    """What to do in another process to have these chips after all."""

    executes: ClassVar[bool] = True
    """Whether programs run: else they are compiled only, so there are no outputs to compare with goldens."""
    rounds_float32: ClassVar[bool] = False
    """Whether factors are rounded to bfloat16 before they are multiplied: float32 is judged as bfloat16 is then."""
    caches_programs: ClassVar[bool] = False
    """Whether jax's persistent compilation cache can keep its programs."""
    bounds_of: ClassVar[str | None] = None
    """The kind whose recorded bounds hold for this one too, where none of its own are recorded."""
    emulates: ClassVar[bool] = False
    """Whether the programs of tt_jit are those of TT's compiler, executed by the emulator."""
    compiled_by_tt: ClassVar[bool] = False
    """Whether it is TT's compiler that compiles its programs: ``--tt-compile`` would only say the same again."""
    groups_meshes: ClassVar[bool] = False
    """Whether a change of the mesh's shape costs time, so that tests of one mesh run one after the other."""
    isolates: ClassVar[bool] = False
    """Whether tests are isolated unless the user says otherwise."""
    time_limit_s: ClassVar[float] = 0.0
    """Seconds that an isolated test may take unless the user says otherwise; 0 for any number."""
    interrupt_s: ClassVar[float] = 3.0
    """Seconds that a process may stand still after Ctrl-C: as long as it may take to close the chips."""

    @classmethod
    @abstractmethod
    def for_request(cls, request: Request) -> Self:
        """The target that `request` names by its backend. Raises ValueError where this machine has no such chips."""

    @property
    def backend(self) -> str:
        """`name`, as tests and results call it."""
        return self.name

    @property
    def similar_system(self) -> str | None:
        """A system with the same chips, if these have no name of their own; None if no system is known to have them."""
        return self.system

    @property
    def packages(self) -> dict[str, str | None]:
        """Name -> version of what a run on this target depends on beside the packages of every run."""
        return {}

    def header(self) -> list[str]:
        """What pytest's report header says of it."""
        parts = [f"backend {self.name} ({self.why})"]
        if self.system is not None:
            given = self.request.system_source
            parts.append(f"system {self.system} ({'detected' if given == 'default' else given})")
        return parts

    # The platform

    def prepare_jax(self, say: Say) -> None:
        """Arrange that jax finds these chips as soon as anybody imports it, in a process that runs tests."""
        when_imported("jax", partial(self.attach, say))

    @abstractmethod
    def attach(self, say: Say) -> None:
        """Let jax find these chips; jax has just been imported, perhaps by a run that needs no chips.

        Starts nothing and raises nothing: `provide` does.
        """

    def allow_platform(self) -> None:
        """Add the chips to the platforms that jax may use, for a run of which it is not known what it needs."""
        allow_chips(self.platform)
        if self.request.host_devices:
            set_host_devices()

    def use_platform(self) -> None:
        """Have jax use the chips beside the host, for a run that needs them. jax must be imported."""
        use_chips(self.platform)
        set_host_devices()

    def provide(self, most: int, *, needed: bool) -> None:
        """Have chips ready for meshes of up to `most`. jax must be imported.

        Raises ChipsError where that cannot be, if they are `needed`.
        """

    @property
    def settled(self) -> bool:
        """Whether this process has these chips, and so cannot have others."""
        return True

    def devices(self) -> Sequence[jax.Device]:
        """The chips, as many as there are. Starts jax; raises RuntimeError where it cannot start them."""
        import jax

        return jax.devices(self.platform)

    # Chips that only one process can have

    def hold(self, say: Say) -> None:
        """Wait for the chips, and hold them until this process ends. Raises ChipsError where they do not come free."""

    def borrow(self) -> None:
        """Take note that a process that started this one holds the chips for it."""

    def check_workers(self, processes: int) -> None:
        """Raise ValueError where so many processes cannot have the chips at a time."""

    def why_not_lent(self) -> str | None:
        """Why other processes cannot open the chips any more; None where they can."""
        return None

    def lend(self, say: Say, *, may_reset: bool, cache: Path | None) -> LentChips | None:
        """Hold the chips for other processes, and leave them alone in this one; None where each has chips of its own.

        `cache` is where compiled kernels are kept between runs. Raises ChipsError as `hold`.
        """
        return None

    # Programs

    def compiler_options(self, tt: Mapping[str, str], xla: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a program that reach its compiler, as it spells them: of TT's `tt` and of XLA's own `xla`."""
        return {}

    def write_artifacts(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        prefix: Path,
        options: Mapping[str, str],
    ) -> None:
        """Write what the compiler made of `function` to files that begin with `prefix`, if it can be got at."""

    # Tests

    def resolve(self, mesh: MeshShape, wanted: tuple[str, ...]) -> Resolved:
        """The system for a test on `mesh` whose marker names the systems `wanted` (none for any)."""
        return self._resolved(mesh, wanted, self.system, self.request.system_source, self.chips)

    def _resolved(
        self, mesh: MeshShape, wanted: tuple[str, ...], system: str | None, source: str, chips: int | None
    ) -> Resolved:
        place = self.description if system is None else system
        obstacle = None
        if wanted and system not in wanted:
            obstacle = f"meant for {' or '.join(wanted)}, but this run is on {place}"
        elif chips is not None and mesh.chips > chips:
            what = f"{self.adjective} {place}".strip()
            obstacle = f"mesh {mesh} needs {mesh.chips} chips, but {what} has {chips}"
        return Resolved(system, source, obstacle)

    # Scripts

    def check_script(self) -> None:
        """Raise ValueError where these chips are only for tests."""

    def for_script(self, mesh: MeshShape | None) -> Target:
        """The same for a script whose meshes are up to `mesh`. Raises ValueError where it has too few chips."""
        if mesh is not None:
            check_size(mesh, self)
        return self

    def attach_for_script(self, say: Say, *, first: bool) -> None:
        """As `attach`, for a script; `first`: the chips are jax's default platform. Raises ChipsError."""
        if first:
            put_chips_first(self.platform)
        self.attach(say)

    def more(self, mesh: MeshShape) -> Target:
        """These chips, which this process has, for a script's `mesh` as well. Raises ChipsError."""
        return self


def check_size(mesh: MeshShape, target: Target) -> None:
    """Raise ValueError where `target` has too few chips for `mesh`."""
    if target.chips is not None and target.chips < mesh.chips:
        raise ValueError(f"mesh {mesh} has {mesh.chips} chips, here is {target.description}: take a smaller mesh")
