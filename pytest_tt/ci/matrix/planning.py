"""Which tests run where: one group for each mesh and system, each split into shards of near equal time."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from pytest_tt.ci.matrix.collecting import MatrixError
from pytest_tt.ci.matrix.settings import CPU
from pytest_tt.targets.card import CardTarget
from pytest_tt.targets.simulated import SimulatedTarget
from pytest_tt.targets.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_tt.ci.matrix.collecting import CollectedTest
    from pytest_tt.ci.matrix.settings import MatrixSettings
    from pytest_tt.results.reading import Document
    from pytest_tt.targets.mesh import MeshShape


@dataclass(frozen=True, slots=True)
class Entry:
    """One job of the matrix: a shard of the tests that ask for one mesh, on one kind of box."""

    mesh: MeshShape | None
    """None for tests that need no chips; `system` is ``cpu`` then."""
    system: str
    labels: tuple[str, ...]
    shard: int
    shards: int
    tests: tuple[CollectedTest, ...]
    minutes: float | None
    """How long the tests took when they were recorded; None where none was."""
    args: tuple[str, ...]

    @property
    def id(self) -> str:
        """A name that a file can have: ``1x8-t3k-2``."""
        parts = [str(self.mesh), self.system] if self.mesh is not None else [self.system]
        return "-".join([*parts, *([str(self.shard)] if self.shards > 1 else [])])

    @property
    def name(self) -> str:
        """In words: ``1x8 on t3k (2 of 3)``."""
        what = f"{self.mesh} on {self.system}" if self.mesh is not None else "no chips"
        return f"{what} ({self.shard} of {self.shards})" if self.shards > 1 else what

    @property
    def backend(self) -> str:
        """Tests that need no chips do not wait for a card."""
        return (SimulatedTarget if self.mesh is None else CardTarget).name

    @property
    def options(self) -> tuple[str, ...]:
        """pytest's arguments but for the tests themselves."""
        system = () if self.mesh is None else ("--tt-system", self.system)
        return ("--tt-backend", self.backend, *system, "--tt-require", *self.args)

    def to_json(self, tests: Sequence[str]) -> dict[str, Any]:
        """The entry of GitHub's ``include``; `tests` are the arguments that name the tests."""
        return {
            "id": self.id,
            "name": self.name,
            "runs-on": self.labels[0] if len(self.labels) == 1 else list(self.labels),
            "mesh": None if self.mesh is None else str(self.mesh),
            "system": None if self.mesh is None else self.system,
            "backend": self.backend,
            "shard": self.shard,
            "shards": self.shards,
            "tests": len(self.tests),
            "minutes": None if self.minutes is None else round(self.minutes, 2),
            "args": shlex.join([*tests, *self.options]),
        }


def read_durations(documents: Iterable[Document]) -> dict[str, float]:
    """Node id -> seconds that the test took, the median of all documents that say so."""
    found: dict[str, list[float]] = {}
    for document in documents:
        for row in document.rows.values():
            seconds: object = row.timing.get("test_s")
            # A test that was skipped says nothing of how long it takes.
            if isinstance(seconds, int | float) and seconds >= 0 and row.outcome != "skipped":
                found.setdefault(row.nodeid, []).append(float(seconds))
    return {nodeid: median(seconds) for nodeid, seconds in found.items()}


def plan(
    tests: Sequence[CollectedTest], settings: MatrixSettings, durations: Mapping[str, float] | None = None
) -> list[Entry]:
    """The entries: each test in exactly one, small meshes first, those without chips last.

    Tests without a recorded duration count as the median of the others. Raises MatrixError for a mesh that no system
    holds, for a system without a runner label, and for a limit in minutes where no duration is recorded.
    """
    durations = durations or {}
    groups: dict[tuple[MeshShape | None, str], list[CollectedTest]] = {}
    for test in tests:
        groups.setdefault((test.mesh, _system(test, settings)), []).append(test)
    known = [durations[test.nodeid] for test in tests if test.nodeid in durations]
    if settings.max_minutes is not None and not known:
        raise MatrixError(
            "a limit in minutes needs recorded durations: give --durations FILE, a results document of these tests, or "
            "--shards"
        )
    usual = median(known) if known else 1.0
    names = [*SYSTEMS, CPU]
    entries = []
    for mesh, system in sorted(groups, key=lambda key: (_size(key[0]), names.index(key[1]))):
        group = groups[mesh, system]
        weights = [durations.get(test.nodeid, usual) for test in group]
        parts = _split(weights, settings)
        for number, part in enumerate(parts, 1):
            entries.append(
                Entry(
                    mesh=mesh,
                    system=system,
                    labels=_labels(system, group[0], settings),
                    shard=number,
                    shards=len(parts),
                    tests=tuple(group[index] for index in part),
                    minutes=sum(weights[index] for index in part) / 60 if known else None,
                    args=settings.args,
                )
            )
    return entries


def _size(mesh: MeshShape | None) -> tuple[float, int]:
    return (math.inf, 0) if mesh is None else (mesh.chips, mesh.rows)


def _system(test: CollectedTest, settings: MatrixSettings) -> str:
    """Where a test runs: the smallest box that holds its mesh, of those that its marker names if it names any."""
    mesh = test.mesh
    if mesh is None:
        return CPU
    chosen = settings.systems.get(mesh)
    if chosen is not None and (not test.systems or chosen in test.systems):
        return chosen
    fitting = [name for name in test.systems or SYSTEMS if SYSTEMS[name].chips >= mesh.chips]
    if not fitting:
        wanted = f"its marker names {', '.join(test.systems)}" if test.systems else "none has so many"
        raise MatrixError(
            f"{test.nodeid}: no system holds mesh {mesh} ({mesh.chips} chips): {wanted}; leave the test out by --select"
        )
    # Of boxes of one size the first that has runners.
    return min(fitting, key=lambda name: (SYSTEMS[name].chips, name not in settings.labels))


def _labels(system: str, test: CollectedTest, settings: MatrixSettings) -> tuple[str, ...]:
    try:
        return settings.labels[system]
    except KeyError:
        raise MatrixError(
            f"{test.nodeid} asks for {system}, which has no runner label: give --label {system}=LABEL, or "
            f"[tool.pytest-tt.matrix.labels] {system} = ..."
        ) from None


def _split(weights: Sequence[float], settings: MatrixSettings) -> list[list[int]]:
    """Places in `weights`, in as many parts as the settings ask for; none is empty."""
    limit = settings.max_minutes
    if limit is None:
        return _shares(weights, min(settings.shards, len(weights)))
    seconds = limit * 60
    count = min(max(1, math.ceil(sum(weights) / seconds)), len(weights))
    while True:
        parts = _shares(weights, count)
        longest = max(sum(weights[index] for index in part) for part in parts)
        # More parts do not help where one test alone takes longer.
        if longest <= max(seconds, max(weights)) or count == len(weights):
            return parts
        count += 1


def _shares(weights: Sequence[float], count: int) -> list[list[int]]:
    """Places in `weights` in `count` parts of near equal sum: the longest first, each to the part with the least.

    At most a third over the best there is (Graham 1969). Within a part the order stays.
    """
    parts: list[list[int]] = [[] for _ in range(count)]
    sums = [0.0] * count
    for index in sorted(range(len(weights)), key=lambda index: (-weights[index], index)):
        least = min(range(count), key=lambda part: (sums[part], len(parts[part]), part))
        parts[least].append(index)
        sums[least] += weights[index]
    return [sorted(part) for part in parts]
