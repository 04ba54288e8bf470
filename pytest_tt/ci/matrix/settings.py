"""How a matrix is made: ``[tool.pytest-tt.matrix]`` of pyproject.toml, and the same on the command line."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_tt.ci.matrix.collecting import MatrixError
from pytest_tt.ci.project_table import TableError, read_table
from pytest_tt.targets.mesh import MeshShape
from pytest_tt.targets.systems import SYSTEMS, get_system
from pytest_tt.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TABLE = "tool.pytest-tt.matrix"
KEYS = ("labels", "systems", "shards", "max_minutes", "args")
CPU = "cpu"
"""In the place of a system: where tests run that need no chips."""

# What TT-XLA's CI calls its machines in runs-on (tt-xla .github/workflows/test-matrix-presets); a system without one
# must be given a label.
DEFAULT_LABELS: dict[str, tuple[str, ...]] = {
    CPU: ("cpu",),
    **{name: (system.runner_label,) for name, system in SYSTEMS.items() if system.runner_label is not None},
}


@dataclass(frozen=True, slots=True)
class MatrixSettings:
    """shards: into how many parts each group of tests is split; max_minutes: or how long a part may take."""

    labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(DEFAULT_LABELS))
    """System, or ``cpu``, -> what ``runs-on`` gets."""
    systems: Mapping[MeshShape, str] = field(default_factory=dict)
    """Mesh -> the system for it, where it is not the smallest one."""
    shards: int = 1
    max_minutes: float | None = None
    args: tuple[str, ...] = ()
    """More arguments for pytest in every entry."""

    def with_labels(self, labels: Mapping[str, tuple[str, ...]]) -> MatrixSettings:
        """With other labels for some systems."""
        return replace(self, labels={**self.labels, **labels})

    def with_systems(self, systems: Mapping[MeshShape, str]) -> MatrixSettings:
        """With other systems for some meshes."""
        return replace(self, systems={**self.systems, **systems})


def read_settings(path: Path, *, required: bool) -> MatrixSettings:
    """The settings in a pyproject.toml; the defaults where the file or its table is not there and not `required`.

    Raises MatrixError that names the place of what cannot be used.
    """
    try:
        table = read_table(path, "matrix", required=required)
    except TableError as error:
        raise MatrixError(str(error)) from None
    return MatrixSettings() if table is None else _with_table(table, f"{path}: {TABLE}")


def parse_label(text: str) -> tuple[str, tuple[str, ...]]:
    """``t3k=n300-llmbox,in-service``: a system, or cpu, and its labels. Raises ValueError."""
    system, equals, labels = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is no label: expected SYSTEM=LABEL[,LABEL], e.g. t3k=n300-llmbox")
    return _place(system), _labels(labels.split(","))


def parse_system(text: str) -> tuple[MeshShape, str]:
    """``1x4=t3k``: a mesh and the system for its tests. Raises ValueError."""
    mesh, equals, system = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is no choice of a system: expected MESH=SYSTEM, e.g. 1x4=t3k")
    return _fitting(MeshShape.parse(mesh), system)


def parse_shards(value: object) -> int:
    """A number of shards, from text too. Raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{_shown(value)} is no number of shards: expected a whole number from 1")
    return value


def parse_minutes(value: object) -> float:
    """A number of minutes, from text too. Raises ValueError."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"{_shown(value)} is no time: expected minutes, more than 0")
    return number


def _with_table(table: Mapping[str, Any], place: str) -> MatrixSettings:
    for key in table:
        if key not in KEYS:
            raise MatrixError(f"{place}: {key!r} is not read{nearest(key, KEYS)}: expected some of {', '.join(KEYS)}")
    if "shards" in table and "max_minutes" in table:
        raise MatrixError(f"{place}: has both shards and max_minutes: give one of them")
    settings = MatrixSettings()
    for key, value in table.items():
        try:
            if key == "labels":
                settings = settings.with_labels(dict(_label_of(*pair) for pair in _pairs(value)))
            elif key == "systems":
                systems = (_fitting(MeshShape.parse(mesh), name) for mesh, name in _pairs(value))
                settings = settings.with_systems(dict(systems))
            elif key == "shards":
                settings = replace(settings, shards=parse_shards(value))
            elif key == "max_minutes":
                settings = replace(settings, max_minutes=parse_minutes(value))
            else:
                settings = replace(settings, args=_texts(value))
        except ValueError as error:
            raise MatrixError(f"{place}.{key}: {error}") from None
    return settings


def _pairs(value: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError(f"expected a table, found {_shown(value)}")
    return value.items()


def _label_of(system: str, value: Any) -> tuple[str, tuple[str, ...]]:
    return _place(system), _labels([value] if isinstance(value, str) else value)


def _place(name: str) -> str:
    return name if name == CPU else get_system(name).name


def _labels(value: Any) -> tuple[str, ...]:
    labels = _texts(value)
    if not labels or not all(label and not label.isspace() and "," not in label for label in labels):
        raise ValueError(f"{_shown(value)} is no runner label: expected a text or a list of texts")
    return labels


def _fitting(mesh: MeshShape, name: Any) -> tuple[MeshShape, str]:
    if not isinstance(name, str):
        raise ValueError(f"expected the name of a system for {mesh}, found {_shown(name)}")
    system = get_system(name)
    if system.chips < mesh.chips:
        raise ValueError(f"mesh {mesh} needs {mesh.chips} chips, but {system.name} has {system.chips}")
    return mesh, system.name


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"expected a list of texts, found {_shown(value)}")
    return tuple(value)


def _shown(value: object) -> str:
    return json.dumps(value, default=str)
