"""Chips outside pytest, for scripts and notebooks: the same simulated or real ones that tests get.

`open_chips` gives a mesh, of a card where there is one, and leaves jax as it is in a test: the host is its default
platform. `simulate` never touches a card; the chips it makes are jax's default platform, as Tenstorrent's are where
their plugin is installed, so that code written for the card runs as it is. `pytest-tt run` does that for a script.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tt.targets.choice import AUTO, KINDS, check_name, choose
from pytest_tt.targets.jax_import import when_imported
from pytest_tt.targets.mesh import DEFAULT_AXES, MeshShape, build_mesh
from pytest_tt.targets.process import PROCESS
from pytest_tt.targets.simulated import SimulatedTarget
from pytest_tt.targets.systems import SYSTEMS, get_system
from pytest_tt.targets.target import ChipsError, Request, Target, check_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jax
    from jax.sharding import Mesh

    from pytest_tt.options import Setting
    from pytest_tt.targets.systems import System

# The settings that a script has.
SCRIPT_SETTINGS = ("mesh", "backend", "system", "lock_timeout")


@dataclass(frozen=True, slots=True)
class Chips:
    """What a script runs on."""

    mesh: Mesh
    target: Target
    """Simulated chips or real ones (`name`, `system`, `chips`, `description`), and `why`."""

    @property
    def ground(self) -> Target:
        """`target`, by its earlier name."""
        return self.target

    @property
    def devices(self) -> tuple[jax.Device, ...]:
        """The chips of `mesh`, row by row."""
        return tuple(self.mesh.devices.flat)

    @property
    def system(self) -> System | None:
        """Facts of the system (``arch``, ``chips``, ``dram_bytes_per_chip``, ``meshes``), None if it has no name."""
        return None if self.target.system is None else SYSTEMS[self.target.system]


def simulate(
    box: str | MeshShape, *, mesh: str | MeshShape | None = None, axes: tuple[str, str] = DEFAULT_AXES
) -> Chips:
    """Give this process the simulated chips of a system, as jax's default platform.

    `box` is a system (``"t3k"``; `pytest-tt systems` lists them) or a mesh: ``"1x8"`` is eight chips. The mesh in the
    result is `mesh`, else `box` itself or the system's widest one; `axes` are the names of its axes. From then on
    ``jax.devices()`` are the chips, just as many as the system has, ``jax.default_backend()`` is ``tt``, and
    ``jax.devices("cpu")`` is the host. A card in this machine is left alone. A second call for as many chips is not an
    error, so that a notebook's cell can be run twice.

    Raises ValueError for a system or a mesh that cannot exist; ChipsError where jax has started already or this
    process has other chips.
    """
    if isinstance(box, MeshShape) or re.match(r"\d+x", str(box)):
        system, whole = None, _shape(box)
    else:
        try:
            system, whole = get_system(str(box)).name, None
        except ValueError as error:
            raise ValueError(f"{error}; or a mesh, e.g. 1x8") from None
    target, usual = SimulatedTarget.of_size(system, whole, "simulate")
    shape = usual if mesh is None else _shape(mesh)
    check_size(shape, target)
    import jax  # noqa: F401 - it must be there when chips are attached

    target.attach_for_script(_say, first=True)
    return Chips(build_mesh(shape, axes, target.devices()), target)


def prepare_script(asked: Mapping[str, Setting[Any]]) -> Target:
    """Arrange that the script that this process is to run has chips as jax's default platform; returns which ones.

    `asked` holds `SCRIPT_SETTINGS`. The number of simulated chips is that of the system, else of the mesh, else eight;
    a card must have at least those of the mesh and is held until this process ends. jax is not imported: what the
    script puts into the environment before it does so still holds. Raises ChipsError.
    """
    request = Request(
        backend=asked["backend"].value,
        source=asked["backend"].source,
        system=asked["system"].value,
        system_source=asked["system"].source,
        mesh=asked["mesh"].value if asked["mesh"].given else None,
        lock_timeout_s=asked["lock_timeout"].value,
    )
    try:
        target = choose(request)
        target.check_script()
        target = target.for_script(request.mesh)
    except ValueError as error:
        raise ChipsError(str(error)) from None
    target.hold(_say)
    variable = "JAX_PLATFORMS"
    before = os.environ.get(variable)

    def attach() -> None:
        # A script that sets the variable says itself what it wants.
        target.attach_for_script(_say, first=os.environ.get(variable) == before)

    when_imported("jax", attach)
    return target


def open_chips(mesh: str | MeshShape = "1x1", *, backend: str = "auto", axes: tuple[str, str] = DEFAULT_AXES) -> Chips:
    """A mesh of chips for this process, which holds real ones until it ends.

    `mesh` is ``ROWSxCOLS`` or a shape, `backend` as ``--tt-backend``: ``auto`` takes real chips if they and a plugin
    for them are there, else simulated ones; within pytest and after `simulate`, those that are there already.
    jax's default platform stays what it is. Call it before jax starts on its own. Raises ValueError for a mesh or
    backend that cannot exist; ChipsError where the chips cannot be had.
    """
    shape = _shape(mesh)
    check_name(backend)
    try:
        target = _target(shape, backend)
        check_size(shape, target)
    except (ValueError, ChipsError) as error:
        raise ChipsError(str(error).replace("--tt-backend sim", "backend sim")) from None
    return Chips(build_mesh(shape, axes, target.devices()), target)


def _target(shape: MeshShape, backend: str) -> Target:
    """The target that this process has, else one chosen as for a pytest run; its chips are ready."""
    import jax  # noqa: F401 - a pytest run attaches its chips as soon as this is imported

    present = PROCESS.target
    if present is not None and present.settled:
        # Emulated chips are simulated ones: what is asked of those holds of these.
        if backend == AUTO or isinstance(present, KINDS[backend]):
            present.hold(_say)
            return present.more(shape)
        raise ChipsError(f"{present.occupied} already: {KINDS[backend].elsewhere}")
    target = choose(Request(backend, "requested", host_devices=True))
    target.check_script()
    target.attach(_say)
    target.use_platform()
    target.provide(shape.chips, needed=True)
    target.hold(_say)
    return target


def _shape(mesh: str | MeshShape) -> MeshShape:
    return mesh if isinstance(mesh, MeshShape) else MeshShape.parse(mesh)


def _say(line: str) -> None:
    print(line, file=sys.__stderr__, flush=True)
