"""Chips outside pytest, for scripts and notebooks: the same simulated or real ones that tests get.

`open_chips` gives a mesh, of a card where there is one, and leaves jax as it is in a test: the host is its default
platform. `simulate` never touches a card; the chips it makes are jax's default platform, as Tenstorrent's are where
their plugin is installed, so that code written for the card runs as it is. `pytest-tt run` does that for a script.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.box import ChipsError, check_size, describe_box, present_box, provide_box
from pytest_tt.options import BACKENDS, OPTIONS, Setting, Settings
from pytest_tt.session import Session
from pytest_tt.targets import jax_private
from pytest_tt.targets.jax_import import when_imported
from pytest_tt.targets.mesh import DEFAULT_AXES, MeshShape, build_mesh
from pytest_tt.targets.platforms import PLATFORM, put_chips_first
from pytest_tt.targets.systems import SYSTEMS, get_system
from pytest_tt.targets.target import Ground

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jax
    from jax.sharding import Mesh

    from pytest_tt.targets.systems import System

# The settings that a script has.
SCRIPT_SETTINGS = ("mesh", "backend", "system", "lock_timeout")


@dataclass(frozen=True, slots=True)
class Chips:
    """What a script runs on."""

    mesh: Mesh
    ground: Ground
    """Simulated chips or a real box, and why."""

    @property
    def devices(self) -> tuple[jax.Device, ...]:
        """The chips of `mesh`, row by row."""
        return tuple(self.mesh.devices.flat)

    @property
    def system(self) -> System | None:
        """Facts of the box (``arch``, ``chips``, ``dram_bytes_per_chip``, ``meshes``), None if it is no known one."""
        return None if self.ground.system is None else SYSTEMS[self.ground.system]


def simulate(
    box: str | MeshShape, *, mesh: str | MeshShape | None = None, axes: tuple[str, str] = DEFAULT_AXES
) -> Chips:
    """Give this process the simulated chips of a box, as jax's default platform.

    `box` is a system (``"t3k"``; `pytest-tt systems` lists them) or a mesh: ``"1x8"`` is a box of eight chips. The
    mesh in the result is `mesh`, else `box` itself or the system's widest one; `axes` are the names of its axes. From
    then on ``jax.devices()`` are the chips, just as many as the box has, ``jax.default_backend()`` is ``tt``, and
    ``jax.devices("cpu")`` is the host. A card in this machine is left alone. A second call for as many chips is no
    error, so that a notebook's cell can be run twice.

    ValueError for a box or a mesh that there cannot be; ChipsError where jax has started already or this process has
    other chips.
    """
    if isinstance(box, MeshShape) or re.match(r"\d+x", str(box)):
        system, whole = None, _shape(box)
    else:
        try:
            system, whole = get_system(str(box)).name, None
        except ValueError as error:
            raise ValueError(f"{error}; or a mesh, e.g. 1x8") from None
    ground, usual = describe_box(system, whole, "simulate")
    shape = usual if mesh is None else _shape(mesh)
    check_size(shape, ground.chips or 0, ground.description)
    import jax

    provide_box(ground)
    return Chips(build_mesh(shape, axes, jax.devices(PLATFORM)), ground)


def prepare_script(asked: Mapping[str, Setting[Any]]) -> Ground:
    """Arrange that the script that this process is to run has chips as jax's default platform; returns which ones.

    `asked` holds `SCRIPT_SETTINGS`. The number of simulated chips is that of the system, else of the mesh, else eight;
    a real box must have at least those of the mesh and is held until this process ends. jax is not imported: what the
    script puts into the environment before it does so still holds. Raises ChipsError.
    """
    shape: MeshShape | None = asked["mesh"].value if asked["mesh"].given else None
    try:
        session = Session(_settings(asked), of_tests=False)
        if session.ground.backend == "sim":
            box, _ = describe_box(asked["system"].value, shape, session.ground.why)
        else:
            box = session.ground
            check_size(shape or MeshShape(1, 1), box.chips or 0, box.description)
            session.hold_chips()
    except (pytest.UsageError, ValueError) as error:
        raise ChipsError(str(error)) from None
    variable = "JAX_PLATFORMS"
    before = os.environ.get(variable)

    def imported() -> None:
        first = os.environ.get(variable) == before  # else the script has said what it wants
        if box.backend == "sim":
            provide_box(box, first=first)
        elif first:
            put_chips_first()

    when_imported("jax", imported)
    if box.backend == "hw":
        session.prepare_jax()
    return box


def open_chips(mesh: str | MeshShape = "1x1", *, backend: str = "auto", axes: tuple[str, str] = DEFAULT_AXES) -> Chips:
    """A mesh of chips for this process, which holds real ones until it ends.

    `mesh` is ``ROWSxCOLS`` or a shape, `backend` as ``--tt-backend``: ``auto`` takes real chips if they and a plugin
    for them are there, else simulated ones; within pytest and after `simulate`, those that are there already.
    jax's default platform stays what it is. Call it before jax starts on its own. ValueError for a mesh or backend that
    there cannot be; ChipsError where the chips cannot be had.
    """
    shape = _shape(mesh)
    if backend not in BACKENDS:
        raise ValueError(f"{backend!r} is not a backend: expected {', '.join(BACKENDS)}")
    try:
        ground = _ground(shape, backend)
    except pytest.UsageError as error:
        raise ChipsError(str(error).replace("--tt-backend sim", "backend sim")) from None
    if ground.chips is not None:
        try:
            check_size(shape, ground.chips, ground.description)
        except ValueError as error:
            raise ChipsError(str(error)) from None
    import jax

    return Chips(build_mesh(shape, axes, jax.devices(PLATFORM)), ground)


def _ground(shape: MeshShape, backend: str) -> Ground:
    """Choose as a pytest run would, and have the chips ready: simulated ones at least as many as `shape` has."""
    import jax  # noqa: F401 - a pytest run attaches its chips as soon as this is imported

    from pytest_tt.targets.simulated import DEFAULT_CHIPS, ChipsInUseError, attached

    present = attached()
    if present is None:
        asked: dict[str, Setting[Any]] = {"mesh": Setting(shape, "mesh"), "backend": Setting(backend, "requested")}
        session = Session(_settings(asked))
        if session.ground.backend == "sim" and jax_private.started() and jax_private.client_of(PLATFORM) is not None:
            raise ChipsError("this process runs on real chips already: simulate chips in another one")
        session.prepare_jax()
        session.provide(())
        session.hold_chips()
        present = attached()
        if present is None:
            return session.ground
        ground = session.ground
    elif backend == "hw":
        raise ChipsError("this process simulates chips already: open real ones in another one")
    elif (box := present_box()) is not None:
        return box
    else:
        ground = Ground("sim", "simulated in this process already", None, None, "simulated chips")
    try:
        present.provide_at_least(max(DEFAULT_CHIPS, shape.chips))
    except ChipsInUseError:
        raise ChipsError(
            f"mesh {shape} has {shape.chips} chips, and arrays of this process are on the fewer ones that were opened "
            "before: open the largest mesh first"
        ) from None
    return ground


def _shape(mesh: str | MeshShape) -> MeshShape:
    return mesh if isinstance(mesh, MeshShape) else MeshShape.parse(mesh)


def _settings(asked: Mapping[str, Setting[Any]]) -> Settings:
    """The plugin's settings: those of `asked`, the others by default."""
    found: dict[str, Setting[Any]] = {option.name: Setting(option.default, "default") for option in OPTIONS}
    return Settings(**{**found, **asked})
