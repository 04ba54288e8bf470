"""Simulated chips as a target: tests get as many as they need, a script as many as its system has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_tt.packages import package_version
from pytest_tt.targets import jax_private
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.targets.platforms import put_chips_first
from pytest_tt.targets.process import PROCESS
from pytest_tt.targets.simulated_chips import (
    DEFAULT_CHIPS,
    EARLY_CHIPS,
    ChipsInUseError,
    PlatformTakenError,
    SimulatedChips,
)
from pytest_tt.targets.systems import SYSTEMS
from pytest_tt.targets.target import ChipsError, Request, Resolved, Target, check_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from pytest_tt.targets.target import Say


@dataclass(frozen=True)
class SimulatedTarget(Target):
    """Simulated chips, those of a system or as many as are needed."""

    name = "sim"
    title = "simulated chips"
    adjective = "simulated"
    occupied = "this process simulates chips"
    elsewhere = "simulate chips in another one"
    caches_programs = True

    fixed: bool = False
    """Whether the number of chips is fixed from the start, as for a script; tests get as many as they need."""

    @classmethod
    def for_request(cls, request: Request) -> Self:
        """Simulated chips can be had everywhere."""
        return cls.because(request.source, request)

    @classmethod
    def because(cls, why: str, request: Request) -> Self:
        """Simulated chips for `request`, chosen for the reason `why`."""
        if request.system is None:
            return cls(why, None, None, cls.title, request)
        system = SYSTEMS[request.system]
        return cls(why, system.name, system.chips, f"{cls.adjective} {system.title}", request)

    def attach(self, say: Say) -> None:
        """Register the platform with jax; where that fails, `provide` says why if the chips are needed."""
        asked = 0 if self.request.mesh is None else self.request.mesh.chips
        try:
            self._attach(self.chips or max(EARLY_CHIPS, asked))
        except ChipsError as error:
            PROCESS.problem = str(error)
        else:
            self.allow_platform()

    def provide(self, most: int, *, needed: bool) -> None:
        """Have at least `most` chips, those of ``--tt-mesh``, or where nobody says how many, eight."""
        if PROCESS.problem is not None or PROCESS.simulated is None:
            if needed:
                raise ChipsError(PROCESS.problem)
            return
        # Tests that only call jax.devices("tt") say nothing of how many they need: the default is for them.
        least = DEFAULT_CHIPS if self.request.mesh is None else self.request.mesh.chips
        try:
            PROCESS.simulated.provide(self.chips or max(least, most))
        except ChipsInUseError as error:
            raise ChipsError(str(error)) from None

    def more(self, mesh: MeshShape) -> Self:
        """These chips, which this process has, for a script's `mesh` as well; more of them unless they are fixed."""
        if self.fixed:
            return self
        assert PROCESS.simulated is not None
        try:
            PROCESS.simulated.provide_at_least(max(DEFAULT_CHIPS, mesh.chips))
        except ChipsInUseError:
            raise ChipsError(
                f"mesh {mesh} has {mesh.chips} chips, and arrays of this process are on the fewer ones that were "
                "opened before: open the largest mesh first"
            ) from None
        return replace(self, why="simulated in this process already", system=None, chips=None, description=self.title)

    def compiler_options(self, tt: Mapping[str, str], xla: Mapping[str, Any]) -> dict[str, Any]:
        """XLA's own: its CPU compiler, which stands for TT's, refuses others."""
        return dict(xla)

    def resolve(self, mesh: MeshShape, wanted: tuple[str, ...]) -> Resolved:
        """Where no system is given, the first of `wanted` that has enough chips is simulated."""
        if self.system is None and wanted:
            fitting = [name for name in wanted if SYSTEMS[name].chips >= mesh.chips]
            system = (fitting or list(wanted))[0]
            return self._resolved(mesh, wanted, system, "marker", SYSTEMS[system].chips)
        return super().resolve(mesh, wanted)

    def for_script(self, mesh: MeshShape | None) -> Self:
        """As many chips as the system has, else as `mesh` has, else as tests get."""
        return self.of_size(self.system, mesh, self.why)[0]

    @classmethod
    def of_size(cls, system: str | None, mesh: MeshShape | None, why: str) -> tuple[Self, MeshShape]:
        """A fixed number of chips for a system, a mesh or both, and the mesh: `mesh`, else the usual one.

        Raises ValueError where the system has too few chips for `mesh`.
        """
        if system is None:
            mesh = mesh or MeshShape(1, DEFAULT_CHIPS)
            chips, title = mesh.chips, f"{mesh.chips} simulated chip{'s' * (mesh.chips != 1)}"
        else:
            chips = SYSTEMS[system].chips
            mesh, title = mesh or MeshShape.parse(SYSTEMS[system].meshes[0]), f"simulated {system} ({_count(chips)})"
        target = cls(why, system, chips, title, fixed=True)
        check_size(mesh, target)
        return target, mesh

    def attach_for_script(self, say: Say, *, first: bool) -> None:
        """Give this process the chips, just as many as there are. jax must be imported.

        It must not have started, unless with as many chips of an earlier call. Raises ChipsError.
        """
        assert self.chips is not None
        before = PROCESS.target
        if before is not None and not isinstance(before, SimulatedTarget):
            raise ChipsError(f"{before.occupied}: {self.elsewhere}")
        if before is not None and not before.fixed:
            raise ChipsError(
                "this process has simulated chips by a test run or open_chips already, and the host as jax's default "
                "platform: use those (tt_mesh, open_chips), or simulate a system in another process"
            )
        if jax_private.started() and (before is None or before.chips != self.chips):
            has = "" if before is None else f" with {before.description}"
            raise ChipsError(
                f"jax has started{has} in this process already: simulate {self.description.removeprefix('simulated ')} "
                "before anything is computed or asks for devices (in a notebook: restart the kernel, and first of all "
                "call simulate)"
            )
        if PROCESS.simulated is not None:
            PROCESS.simulated.provide(self.chips)
            PROCESS.target = self
        else:
            self._attach(self.chips)
            jax_private.name_default(self.platform)
            if first:
                put_chips_first(self.platform)

    def _attach(self, count: int) -> None:
        """Make `count` chips known to jax. Raises ChipsError."""
        chips = SimulatedChips(count)
        try:
            chips.attach()
        except PlatformTakenError as error:
            raise ChipsError(str(error)) from None
        except (AttributeError, ImportError, TypeError) as error:  # the private API has changed
            raise ChipsError(
                f"pytest-tt cannot simulate chips with jax {package_version('jax')} ({type(error).__name__}: {error}); "
                "install a jax that it supports, see the README's table"
            ) from None
        PROCESS.target, PROCESS.simulated, PROCESS.problem = self, chips, None


def _count(chips: int) -> str:
    return f"{chips} chip{'s' * (chips != 1)}"
