"""The marker ``@pytest.mark.tt(mesh="1x8", axes=("x", "y"), system="t3k", options={...}, model="gpt2")``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class TTMarker:
    """The merged ``tt`` markers of a test; None for keywords that none of them gives."""

    mesh: tuple[MeshShape, ...] | None = None
    axes: tuple[str, str] | None = None
    system: tuple[str, ...] | None = None
    options: Mapping[str, str] | None = None
    model: str | None = None
    variant: str | None = None


_KEYS = tuple(field.name for field in fields(TTMarker))


def read_marker(marks: Iterable[pytest.Mark], nodeid: str) -> TTMarker | None:
    """Merge `marks`, which come closest to the test first: the closest one wins for each keyword.

    Returns None without marks. Raises pytest.UsageError that names the test and what is accepted.
    """
    merged: dict[str, Any] = {}
    found = False
    for mark in marks:
        found = True
        if mark.args:
            shown = ", ".join(map(repr, mark.args))
            raise pytest.UsageError(
                f"{nodeid}: the tt marker takes keywords only, got {shown}; write e.g. "
                f"@pytest.mark.tt(mesh={mark.args[0]!r})"
            )
        unknown = sorted(set(mark.kwargs) - set(_KEYS))
        if unknown:
            raise pytest.UsageError(
                f"{nodeid}: the tt marker has no keyword {', '.join(map(repr, unknown))}; "
                f"accepted are {', '.join(_KEYS)}"
            )
        for key, value in mark.kwargs.items():
            if value is None or key in merged:
                continue
            try:
                merged[key] = _PARSERS[key](value)
            except (ValueError, TypeError) as error:
                raise pytest.UsageError(f"{nodeid}: tt marker: {key}: {error}") from None
    return TTMarker(**merged) if found else None


def _meshes(value: object) -> tuple[MeshShape, ...]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(number, int) for number in texts):
        raise ValueError(f'{value!r} is not a mesh: write "{texts[0]}x{texts[1]}"')
    if not isinstance(texts, list | tuple) or not texts:
        raise ValueError(f'{value!r} is neither a mesh such as "1x8" nor a list of meshes such as ["1x2", "1x4"]')
    meshes = tuple(MeshShape.parse(text) for text in texts)
    for mesh in meshes:
        if meshes.count(mesh) > 1:
            raise ValueError(f"{mesh} is listed twice; name each mesh once")
    return meshes


def _axes(value: object) -> tuple[str, str]:
    if (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(name, str) and name for name in value)
        and value[0] != value[1]
    ):
        return (value[0], value[1])
    raise ValueError(f'{value!r} is not two different axis names such as ("batch", "model")')


def _systems(value: object) -> tuple[str, ...]:
    from pytest_tt.targets.systems import get_system

    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f'{value!r} is neither a system name such as "n300" nor a list of them')
    return tuple(get_system(name).name for name in names)


def _options(value: object) -> dict[str, str]:
    from pytest_tt.targets import compiler_options

    if not isinstance(value, dict):
        raise ValueError(f'{value!r} is not a dict of TT compiler options such as {{"optimization_level": 1}}')
    return compiler_options.check(value)


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a name")
    return value


_PARSERS = {
    "mesh": _meshes, "axes": _axes, "system": _systems, "options": _options, "model": _name, "variant": _name,
}  # fmt: skip


def check_places(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Raise pytest.UsageError for a ``pytestmark`` with the tt marker in a conftest or in a package of `items`.

    pytest does not look for markers there and says nothing: the tests would run on the default mesh.
    """
    for place in {id(place): place for place in _places(config, items)}.values():
        marks = getattr(place, "pytestmark", ())
        for mark in marks if isinstance(marks, list | tuple) else (marks,):
            if getattr(mark, "name", None) == "tt":
                raise pytest.UsageError(
                    f"{getattr(place, '__file__', place)}: pytest ignores pytestmark in conftest.py and __init__.py: "
                    "write the tt marker in the test modules, or give a mesh to all tests by ini tt_mesh or --tt-mesh"
                )


def _places(config: pytest.Config, items: Iterable[pytest.Item]) -> Iterator[object]:
    for plugin in config.pluginmanager.get_plugins():
        if Path(str(getattr(plugin, "__file__", None))).name == "conftest.py":
            yield plugin
    for name in {str(getattr(getattr(item, "module", None), "__package__", None) or "") for item in items}:
        while name:
            if name in sys.modules:
                yield sys.modules[name]
            name = name.rpartition(".")[0]
