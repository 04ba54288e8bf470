"""The part of a test suite that a run has collected: only there can a status be shown to match nothing."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_tt.status.entry import has_glob

if TYPE_CHECKING:
    import pytest

# Options that keep pytest from collecting what its arguments name. (-k, -m and --deselect drop tests later.)
_NARROWING = ("lf", "ignore", "ignore_glob")


@dataclass(frozen=True, slots=True)
class Scope:
    """The files and directories that a run has collected completely."""

    rootpath: Path
    roots: tuple[Path, ...]
    everything: bool
    """Whether these are all tests of the ini file's testpaths."""

    @classmethod
    def of(cls, session: pytest.Session, narrowed: bool) -> Scope:
        """The scope of a run after collection; empty if the collection was `narrowed` or failed."""
        config = session.config
        if narrowed or session.testsfailed or any(config.getoption(name, None) for name in _NARROWING):
            return cls(config.rootpath, (), False)
        roots = []
        for argument in config.args:
            path, _, within = argument.partition("::")
            if not within:
                roots.append(_resolve(config, path))
        return cls(config.rootpath, tuple(roots), config.args_source == config.ArgsSource.TESTPATHS)

    def has(self, path: Path) -> bool:
        """Whether all tests below `path` were collected."""
        return any(path.is_relative_to(root) for root in self.roots)

    def has_tests(self, pattern: str) -> bool:
        """Whether all tests that a node id pattern can match were collected."""
        parts: list[str] = []
        for part in pattern.partition("::")[0].split("/"):
            if has_glob(part):
                break
            parts.append(part)
        return self.everything or self.has(Path(self.rootpath, *parts))

    def has_suite(self, folder: Path) -> bool:
        """Whether the suite in `folder` was collected: all of the directory, or all of the testpaths."""
        return self.everything or self.has(folder)


def _resolve(config: pytest.Config, argument: str) -> Path:
    path = Path(config.invocation_params.dir, argument)
    if not path.exists() and config.getoption("pyargs", False):
        try:
            spec = importlib.util.find_spec(argument)
        except (ImportError, ValueError):
            spec = None
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            path = origin.parent if origin.name == "__init__.py" else origin
    return path.resolve()
