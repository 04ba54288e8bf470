"""The resolved settings of one test, as the fixture ``tt_run`` gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.targets.mesh import DEFAULT_AXES, MeshShape
from pytest_tt.targets.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tt.marker import TTMarker
    from pytest_tt.options import Settings
    from pytest_tt.targets.target import Ground


@dataclass(frozen=True, slots=True)
class TTRun:
    """What one test runs on and where each setting came from. Read only."""

    backend: str
    system: str | None
    mesh: MeshShape
    axes: tuple[str, str]
    options: Mapping[str, str]
    sources: Mapping[str, str]
    """Setting (backend, system, mesh, axes, options) -> its source: marker, parameter, ``--tt-mesh``, ``default`` …"""
    obstacle: str | None
    """Why the test cannot run here; None when it can."""
    model: str | None = None
    """What the test is a test of, where its marker or the hook ``pytest_tt_model`` says so."""
    variant: str | None = None


def resolve_run(
    settings: Settings,
    ground: Ground,
    marker: TTMarker | None,
    chosen: MeshShape | None,
    chosen_by: str = "marker",
) -> TTRun:
    """Merge a test's `marker` with the run's `settings`.

    `chosen` is its mesh where the marker lists several or a parameter gives it, as `chosen_by` says.
    """
    mesh, mesh_source = settings.mesh.value, settings.mesh.source
    axes, axes_source = DEFAULT_AXES, "default"
    options = dict(settings.compiler_option.value)
    options_source = settings.compiler_option.source
    wanted: tuple[str, ...] = ()
    if marker is not None:
        if marker.mesh is not None:
            mesh, mesh_source = marker.mesh[0], "marker"
        if marker.axes is not None:
            axes, axes_source = marker.axes, "marker"
        if marker.options is not None:
            options |= marker.options
            options_source = "marker"
        wanted = marker.system or ()
    if chosen is not None:
        mesh, mesh_source = chosen, chosen_by
    system, system_source, chips = ground.system, settings.system.source, ground.chips
    if ground.backend == "hw":
        system_source = "detected"
    elif system is None and wanted:
        fitting = [name for name in wanted if SYSTEMS[name].chips >= mesh.chips]
        system, system_source = (fitting or list(wanted))[0], "marker"
        chips = SYSTEMS[system].chips
    return TTRun(
        backend=ground.backend,
        system=system,
        mesh=mesh,
        axes=axes,
        options=options,
        sources={
            "backend": ground.why,
            "system": system_source,
            "mesh": mesh_source,
            "axes": axes_source,
            "options": options_source,
        },
        obstacle=_obstacle(ground, mesh, system, chips, wanted),
        model=None if marker is None else marker.model,
        variant=None if marker is None else marker.variant,
    )


def _obstacle(
    ground: Ground, mesh: MeshShape, system: str | None, chips: int | None, wanted: tuple[str, ...]
) -> str | None:
    place = ground.description if ground.system is None and ground.backend == "hw" else f"{system}"
    if wanted and system not in wanted:
        return f"meant for {' or '.join(wanted)}, but this run is on {place}"
    if chips is not None and mesh.chips > chips:
        what = "simulated " * (ground.backend == "sim") + place
        return f"mesh {mesh} needs {mesh.chips} chips, but {what} has {chips}"
    return None
