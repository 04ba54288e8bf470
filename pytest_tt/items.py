"""What the plugin stores for a collected test: its settings, its recorder, and the session."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_tt.parameters import SHARED_MESH, mesh_by_parameter, parameters
from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_tt.compare.bounds import Bounds
    from pytest_tt.marker import TTMarker
    from pytest_tt.results.recorder import Recorder
    from pytest_tt.run import TTRun
    from pytest_tt.session import Session

SESSION: pytest.StashKey[Session] = pytest.StashKey()
_RUN: pytest.StashKey[TTRun] = pytest.StashKey()
_MARKS: pytest.StashKey[list[pytest.Mark]] = pytest.StashKey()
_RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()

# Bounds that the status file gives a test, see pytest_tt.status.
STATUS_BOUNDS: pytest.StashKey[Bounds] = pytest.StashKey()

# Systems of ``--tt-compile`` for which the status file expects an error, and those that it leaves out.
STATUS_REFUSALS: pytest.StashKey[frozenset[str]] = pytest.StashKey()
STATUS_COMPILE_SKIPS: pytest.StashKey[Mapping[str, str]] = pytest.StashKey()

# Parameter ``(mesh, axes)``: it runs a test whose marker lists several meshes once for each, and gives tt_shared_mesh
# the mesh of its tests. mesh is None if the mesh is a parameter already.
MESH_PARAMETER = "_tt_mesh"


def session_of(config: pytest.Config) -> Session:
    return config.stash[SESSION]


def meshes_to_run(marker: TTMarker | None, session: Session) -> tuple[MeshShape, ...]:
    """The meshes of a test that lists several, else empty. ``--tt-mesh`` picks one if it is listed."""
    if marker is None or marker.mesh is None or len(marker.mesh) < 2:
        return ()
    return _chosen(session, marker.mesh)


def chosen_meshes(config: pytest.Config, meshes: Sequence[str]) -> tuple[str, ...]:
    """`meshes`, as a test lists them, or only the one of ``--tt-mesh`` if it is one of them.

    For hooks that make a test case for each mesh themselves.
    """
    return tuple(map(str, _chosen(session_of(config), tuple(map(MeshShape.parse, meshes)))))


def _chosen(session: Session, meshes: tuple[MeshShape, ...]) -> tuple[MeshShape, ...]:
    wanted = session.settings.mesh
    return (wanted.value,) if wanted.given and wanted.value in meshes else meshes


def uses_tt(item: pytest.Item, fixtures: frozenset[str]) -> bool:
    """Whether the test has the marker or uses one of `fixtures`."""
    return item.get_closest_marker("tt") is not None or not fixtures.isdisjoint(getattr(item, "fixturenames", ()))


def run_of(item: pytest.Item) -> TTRun:
    """The settings of `item`, resolved at collection, or now for a fixture that is requested at run time."""
    if _RUN not in item.stash:
        from pytest_tt.marker import read_marker
        from pytest_tt.run import resolve_run

        session = session_of(item.config)
        marks = list(_marks(item))
        item.stash[_MARKS] = marks
        marker = read_marker(marks, item.nodeid)
        listed = marker is not None and marker.mesh is not None and len(marker.mesh) > 1
        chosen, _ = parameters(item).get(MESH_PARAMETER, (None, None)) if listed else (None, None)
        by_parameter = mesh_by_parameter(item)
        if by_parameter is not None:
            _check_parameter(item, by_parameter, chosen)
            chosen = by_parameter
        if chosen is None and marker is not None and marker.mesh is not None and len(marker.mesh) > 1:
            raise pytest.UsageError(
                f"{item.nodeid}: the tt marker lists several meshes: only test functions and methods of plain classes "
                "can run on several, by a marker on them, their class or their module; name one mesh"
            )
        chosen_by = "marker" if by_parameter is None else "parameter"
        run = resolve_run(session.settings, session.target, marker, chosen, chosen_by)
        if run.model is None:
            run = replace(run, model=item.ihook.pytest_tt_model(item=item))
        item.stash[_RUN] = run
        _check_options(item)
        _check_shared(item)
    return item.stash[_RUN]


def _check_parameter(item: pytest.Item, mesh: MeshShape, listed: MeshShape | None) -> None:
    """Refuse a parameter that contradicts the test's own marker; it may override those of the class and module.

    `listed` is the mesh that the test also has by its marker, one of several.
    """
    from pytest_tt.marker import read_marker

    own = read_marker([mark for mark in item.own_markers if mark.name == "tt"], item.nodeid)
    if own is not None and own.mesh is not None and mesh not in own.mesh:
        raise pytest.UsageError(
            f"{item.nodeid}: its tt marker says mesh {', '.join(map(str, own.mesh))}, its parameter {mesh}: name the "
            "mesh in one place"
        )
    if listed is not None:
        raise pytest.UsageError(
            f"{item.nodeid}: its meshes are listed by the tt marker and by a parameter: list them in one place"
        )


def _check_shared(item: pytest.Item) -> None:
    """Refuse a test whose mesh differs from that of the fixtures it shares with others."""
    if SHARED_MESH not in getattr(item, "fixturenames", ()):
        return
    run, given = item.stash[_RUN], parameters(item)
    shape, axes = given.get(MESH_PARAMETER, (None, None))
    if SHARED_MESH in given:
        shape = mesh_by_parameter(item)
    if axes is None:
        raise pytest.UsageError(
            f"{item.nodeid}: only test functions and methods of plain classes can use {SHARED_MESH}; in others, call "
            f'pytest_tt.open_chips("{run.mesh}").mesh'
        )
    if (shape, axes) != (run.mesh, run.axes):
        raise pytest.UsageError(
            f"{item.nodeid}: {SHARED_MESH} does not see where its mesh is given: give it by the tt marker of the "
            f"function, class or module, or as the parameter of {SHARED_MESH}"
        )


def late_marker(item: pytest.Item) -> str | None:
    """What is wrong with a tt marker that `item` got after its settings were resolved; None if it got none."""
    known = item.stash[_MARKS]
    if [id(mark) for mark in _marks(item)] == [id(mark) for mark in known]:
        return None
    return (
        "the test got a tt marker during its setup, which is too late for its mesh: write the marker at the test, or "
        "add it in pytest_collection_modifyitems"
    )


def systems_of(item: pytest.Item) -> tuple[str, ...]:
    """The systems that the marker of `item` names; empty for any."""
    from pytest_tt.marker import read_marker

    marker = read_marker(_marks(item), item.nodeid)
    return () if marker is None or marker.system is None else marker.system


def _check_options(item: pytest.Item) -> None:
    """Refuse options that are valid one by one but not together: TT's compiler would abort the process."""
    options = item.stash[_RUN].options
    if options:
        from pytest_tt.targets.compiler_options import check_together

        try:
            check_together(options)
        except ValueError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None


def recorder_of(item: pytest.Item) -> Recorder:
    """The recorder of `item`."""
    if _RECORDER not in item.stash:
        from pytest_tt.results.recorder import Recorder
        from pytest_tt.results.row import Row

        item.stash[_RECORDER] = Recorder(
            Row.begin(item.nodeid, run_of(item)), session_of(item.config).reporting.phase_reached
        )
    return item.stash[_RECORDER]


def find_recorder(item: pytest.Item) -> Recorder | None:
    """The recorder of `item`; None if it is not a tt test."""
    return item.stash.get(_RECORDER, None)


def _marks(item: pytest.Item) -> Iterable[pytest.Mark]:
    """The item's tt marks, closest first: parameter, function, class, module.

    pytest lists a parameter's marks after the function's own.
    """
    for mark in reversed(item.own_markers):
        if mark.name == "tt":
            yield mark
    if item.parent is not None:
        yield from item.parent.iter_markers("tt")
