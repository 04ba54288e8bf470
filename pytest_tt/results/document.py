"""The results document ``{"schema": 1, "run": {...}, "tests": [...]}``, written whole or not at all."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_tt.files import write_atomically
from pytest_tt.packages import package_version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_tt.results.row import Row
    from pytest_tt.targets.target import Target

SCHEMA = 1

_PACKAGES = {
    "pytest_tt": "pytest-tt",
    "pytest": "pytest",
    "jax": "jax",
    "jaxlib": "jaxlib",
    "flax": "flax",
    "numpy": "numpy",
    "pjrt_plugin_tt": "pjrt-plugin-tt",
}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the document says of the run as a whole."""

    target: Target
    root: Path
    start: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)

    def to_json(self) -> dict[str, Any]:
        """``versions, backend, backend_source, system, chips, commit, start (ISO 8601, UTC), duration_s``."""
        versions = {name: package_version(dist) for name, dist in _PACKAGES.items()}
        versions |= {name.replace("-", "_"): version for name, version in self.target.packages.items()}
        versions["pytest_tt"] = sys.modules["pytest_tt"].__version__
        return {
            "versions": {**versions, "python": platform.python_version()},
            "backend": self.target.name,
            "backend_source": self.target.why,
            "system": self.target.system,
            "chips": self.target.chips,
            "commit": _commit(self.root),
            "start": self.start.isoformat(timespec="seconds"),
            "duration_s": round(time.perf_counter() - self.clock, 3),
        }


def write_document(path: Path, facts: RunFacts, rows: Iterable[Row]) -> None:
    """Write the document to `path`, whole or not at all."""
    document = {"schema": SCHEMA, "run": facts.to_json(), "tests": [row.to_json() for row in rows]}
    write_atomically(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _commit(root: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
