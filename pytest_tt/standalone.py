"""Chips outside pytest, for scripts and notebooks: the same simulated or real ones that tests get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_tt.backend import jax_private
from pytest_tt.backend.platforms import PLATFORM
from pytest_tt.config import BACKENDS, OPTIONS, Setting, Settings
from pytest_tt.ground import Ground
from pytest_tt.mesh import DEFAULT_AXES, MeshShape, build_mesh
from pytest_tt.session import Session

if TYPE_CHECKING:
    from jax.sharding import Mesh


class ChipsError(RuntimeError):
    """There are no such chips, or this process cannot have them; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Chips:
    """What a script runs on."""

    mesh: Mesh
    ground: Ground
    """Simulated chips or a real box, and why."""


def open_chips(mesh: str | MeshShape = "1x1", *, backend: str = "auto", axes: tuple[str, str] = DEFAULT_AXES) -> Chips:
    """A mesh of chips for this process, which holds real ones until it ends.

    `mesh` is ``ROWSxCOLS`` or a shape, `backend` as ``--tt-backend``: ``auto`` takes real chips if they and
    pjrt-plugin-tt are there, else simulated ones; within pytest, those of the run. Call it before jax starts on its
    own. ValueError for a mesh or backend that there cannot be; ChipsError where the chips cannot be had.
    """
    shape = mesh if isinstance(mesh, MeshShape) else MeshShape.parse(mesh)
    if backend not in BACKENDS:
        raise ValueError(f"{backend!r} is not a backend: expected {', '.join(BACKENDS)}")
    try:
        ground = _ground(shape, backend)
    except pytest.UsageError as error:
        raise ChipsError(str(error).replace("--tt-backend sim", "backend sim")) from None
    if ground.chips is not None and ground.chips < shape.chips:
        raise ChipsError(f"mesh {shape} has {shape.chips} chips, here is {ground.description}: take a smaller mesh")
    import jax

    return Chips(build_mesh(shape, axes, jax.devices(PLATFORM)), ground)


def _ground(shape: MeshShape, backend: str) -> Ground:
    """Choose as a pytest run would, and have the chips ready: simulated ones at least as many as `shape` has."""
    import jax  # noqa: F401 - a pytest run attaches its chips as soon as this is imported

    from pytest_tt.backend.simulated import DEFAULT_CHIPS, ChipsInUseError, attached

    present = attached()
    if present is None:
        session = Session(_settings(shape, backend))
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


def _settings(shape: MeshShape, backend: str) -> Settings:
    """The plugin's settings: `shape` and `backend` as if somebody had asked for them, the others by default."""
    chosen: dict[str, Setting[object]] = {option.name: Setting(option.default, "default") for option in OPTIONS}
    chosen["mesh"] = Setting(shape, "mesh")
    chosen["backend"] = Setting(backend, "requested")
    return Settings(**chosen)  # type: ignore[arg-type]
