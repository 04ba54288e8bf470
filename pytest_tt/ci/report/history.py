"""Documents in the order of their runs: what is true now, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pytest_tt.results.reading import Document, Key
    from pytest_tt.results.row import Row


@dataclass(slots=True)
class Point:
    """One moment of the history: a run, or the shards of one."""

    start: datetime
    commit: str | None
    documents: list[Document] = field(default_factory=list)
    rows: dict[Key, Row] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Start and commit, short."""
        return f"{self.start:%Y-%m-%d %H:%M}" + (f" {self.commit[:7]}" if self.commit else "")


@dataclass(frozen=True, slots=True)
class Current:
    """The newest row of a test. gone: a newer run on the same backend and system has no row of it."""

    key: Key
    row: Row
    point: Point
    gone: bool


@dataclass(frozen=True, slots=True)
class History:
    """Points from the oldest to the newest, and every test's newest row, in the order of the newest run."""

    points: tuple[Point, ...]
    current: tuple[Current, ...]

    def rows(self, key: Key) -> list[Row | None]:
        """The row of a test at each point, None where it has none."""
        return [point.rows.get(key) for point in self.points]


def build_history(documents: Sequence[Document]) -> History:
    """Order `documents` by their start.

    Documents that follow each other, are of one commit and have no test in common are shards of one point.
    """
    points: list[Point] = []
    for document in sorted(documents, key=lambda document: document.run.start):
        last = points[-1] if points else None
        if last is None or last.commit != document.run.commit or last.rows.keys() & document.rows.keys():
            last = Point(document.run.start, document.run.commit)
            points.append(last)
        last.documents.append(document)
        last.rows.update(document.rows)
    newest: dict[Key, Point] = {}
    for point in reversed(points):
        for key in point.rows:
            newest.setdefault(key, point)
    last_on: dict[tuple[str | None, str | None], Point] = {}
    for point in points:
        last_on.update({(key.backend, key.system): point for key in point.rows})
    current = [
        Current(key, point.rows[key], point, gone=last_on[key.backend, key.system] is not point)
        for key, point in newest.items()
    ]
    return History(tuple(points), tuple(current))
