"""Which part of a suite a pytest run has collected: only of that can it be said that a status matches nothing."""

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
    """The files and folders that a run has collected as a whole."""

    rootpath: Path
    roots: tuple[Path, ...]
    everything: bool
    """Whether these are all tests that the ini file knows of."""

    @classmethod
    def of(cls, session: pytest.Session, narrowed: bool) -> Scope:
        """The scope of a run that has just collected; nothing where that was `narrowed` or went wrong."""
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
        """Whether all tests that a pattern of node ids can name were collected."""
        parts: list[str] = []
        for part in pattern.partition("::")[0].split("/"):
            if has_glob(part):
                break
            parts.append(part)
        return self.everything or self.has(Path(self.rootpath, *parts))

    def has_suite(self, folder: Path) -> bool:
        """Whether the suite in `folder` was collected: all of the folder, or all that the ini file knows of."""
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
