"""One entry of the status file, and the tests that it matches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from pytest_tt.targets.mesh import MeshShape


@dataclass(frozen=True, slots=True)
class CollectedTest:
    """What entries can select a collected test by."""

    nodeid: str
    model: str | None
    variant: str | None
    mesh: MeshShape
    system: str | None
    backend: str
    compile: tuple[str, ...] = ()
    """Systems for which TT's compiler compiles its programs too (``--tt-compile``)."""


@dataclass(frozen=True, slots=True)
class Status:
    """One ``[[status]]`` table. An empty selection means any test; a test must match all that are given."""

    place: str
    """File and line, e.g. ``tt_status.toml:12``."""
    lines: tuple[str, ...]
    """The entry as written, to show what to delete; empty if its lines cannot be found."""
    model: tuple[str, ...]
    variant: tuple[str, ...]
    tests: tuple[str, ...]
    mesh: tuple[MeshShape, ...]
    system: tuple[str, ...]
    backend: str | None
    outcome: str | None
    """``xfail``, ``skip``, or None if the entry gives bounds."""
    bounds: Mapping[str, float]
    """Metric -> bound, instead of the bounds of the test or its golden; empty if the entry gives an outcome."""
    reason: str
    issue: str | None
    since: date | None

    @property
    def because(self) -> str:
        """The reason with its issue, in one line."""
        return self.reason if self.issue is None else f"{self.reason} ({self.issue})"

    @property
    def about(self) -> str:
        """What the entry selects, as text: ``gpt2 on 1x8, hw``."""
        what = " ".join(filter(None, (", ".join(self.model), "/".join(self.variant), ", ".join(self.tests))))
        where = ", ".join([*map(str, self.mesh), *self.system, *filter(None, (self.backend,))])
        return f"{what} on {where}" if where else what

    def names(self, test: CollectedTest) -> bool:
        """Whether the entry selects this test, wherever it runs."""
        return (
            _any(self.model, test.model)
            and _any(self.variant, test.variant)
            and (not self.tests or any(names_test(pattern, test.nodeid) for pattern in self.tests))
            and (not self.mesh or test.mesh in self.mesh)
        )

    def holds_for(self, test: CollectedTest) -> bool:
        """Whether the entry selects this test on the backend and system of this run."""
        return (
            (self.backend is None or self.backend == test.backend)
            and (not self.system or test.system in self.system)
            and self.names(test)
        )

    def compiled_for(self, test: CollectedTest) -> tuple[str, ...]:
        """Systems that the entry names, for which this test is compiled though it runs on another: the entry is then
        about what TT's compiler says for them."""
        if self.backend not in (None, test.backend) or test.system in self.system or not self.names(test):
            return ()
        return tuple(system for system in test.compile if system in self.system)


def has_glob(pattern: str) -> bool:
    """Whether `pattern` has wildcards."""
    return "*" in pattern or "?" in pattern


def matches(pattern: str, text: str) -> bool:
    """Whether `text` matches `pattern`, in which ``*`` matches any text and ``?`` one character.

    Brackets match themselves: node ids have them.
    """
    return _compiled(pattern, "").fullmatch(text) is not None


def names_test(pattern: str, nodeid: str) -> bool:
    """Whether `pattern` is `nodeid` or, as on pytest's command line, a folder, file, class or function above it."""
    return _compiled(pattern, r"((/|::|\[).*)?").fullmatch(nodeid) is not None


@cache
def _compiled(pattern: str, rest: str) -> re.Pattern[str]:
    parts = re.split(r"([*?])", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts) + rest, re.DOTALL)


def _any(patterns: tuple[str, ...], text: str | None) -> bool:
    return not patterns or (text is not None and any(matches(pattern, text) for pattern in patterns))
