"""The resolved settings of one test, as the fixture ``tt_run`` gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_tt.targets.choice import AUTO
from pytest_tt.targets.mesh import DEFAULT_AXES, MeshShape
from pytest_tt.targets.systems import SYSTEMS, smallest_system

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
    """Setting (backend, system, mesh, axes, options, compile) -> its source: marker, parameter, ``--tt-mesh`` …"""
    obstacle: str | None
    """Why the test cannot run here; None when it can."""
    model: str | None = None
    """What the test is a test of, where its marker or the hook ``pytest_tt_model`` says so."""
    variant: str | None = None
    compile: tuple[str, ...] = ()
    """Systems for which TT's compiler compiles the test's programs (``--tt-compile``; on emu first of all `system`)."""
    not_compiled: Mapping[str, str] = field(default_factory=dict)
    """Systems that ``--tt-compile`` names too, to why they cannot have this test."""
    runs_tt: bool = False
    """Whether the test's programs are those of TT's compiler: on a card, and where these are emulated."""


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
    asked = () if target.compiled_by_tt else settings.compile.value
    systems, not_compiled = _compile_for(asked, mesh, wanted, place.system)
    if target.emulates and place.system is not None:
        # What is emulated is compiled whatever the option says.
        systems = (place.system, *(system for system in systems if system != place.system))
        not_compiled.pop(place.system, None)
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
            "compile": settings.compile.source,
        },
        obstacle=place.obstacle,
        model=None if marker is None else marker.model,
        variant=None if marker is None else marker.variant,
        compile=systems,
        not_compiled=not_compiled,
        runs_tt=target.compiled_by_tt or target.emulates,
    )


def _compile_for(
    asked: tuple[str, ...], mesh: MeshShape, wanted: tuple[str, ...], own: str | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The systems of ``--tt-compile`` that can have `mesh`, and why the others cannot.

    `wanted` are those that the marker names, `own` is the one that the test runs on.
    """
    if asked == (AUTO,):
        found = own or smallest_system(mesh.chips)
        return ((found,), {}) if found is not None else ((), {AUTO: f"no system has the {mesh.chips} chips of {mesh}"})
    systems, others = [], {}
    for name in asked:
        if wanted and name not in wanted:
            others[name] = f"the test is meant for {' or '.join(wanted)}"
        elif SYSTEMS[name].chips < mesh.chips:
            others[name] = f"mesh {mesh} needs {mesh.chips} chips, {name} has {SYSTEMS[name].chips}"
        else:
            systems.append(name)
    return tuple(systems), others
