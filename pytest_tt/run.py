"""The resolved settings of one test, as the fixture ``tt_run`` gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.targets.mesh import DEFAULT_AXES, MeshShape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tt.marker import TTMarker
    from pytest_tt.options import Settings
    from pytest_tt.targets.target import Target


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
    target: Target,
    marker: TTMarker | None,
    chosen: MeshShape | None,
    chosen_by: str = "marker",
) -> TTRun:
    """Merge a test's `marker` with the run's `settings`, for `target`.

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
    place = target.resolve(mesh, wanted)
    return TTRun(
        backend=target.name,
        system=place.system,
        mesh=mesh,
        axes=axes,
        options=options,
        sources={
            "backend": target.why,
            "system": place.source,
            "mesh": mesh_source,
            "axes": axes_source,
            "options": options_source,
        },
        obstacle=place.obstacle,
        model=None if marker is None else marker.model,
        variant=None if marker is None else marker.variant,
    )
