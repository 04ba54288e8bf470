"""Inner runs of pytest, each a process of its own, forked from one that has imported pytest, jax and flax already.

Importing them is two thirds of what a short run costs. jax is imported but not started there, so each run starts it,
and counts its devices, for itself. What is about the imports themselves, or about variables that are read then, runs
in a fresh process: see `can_fork`.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from zoo.preloaded import Preloaded

if TYPE_CHECKING:
    import pytest

MODULES = ("pytest", "numpy", "jax.numpy", "flax.linen", "flax.nnx")
READ_AT_START = re.compile(r"(JAX_|XLA_|PJRT_|LD_|PYTHON)(?!PATH$|DONTWRITEBYTECODE$)")
"""Environment variables that these modules, the loader and Python read when they start."""

IMPORTED = f"""
import sys
from importlib import import_module
del sys.path[0]
for name in {MODULES}:
    try:
        import_module(name)
    except ImportError:
        pass
"""

RUN = """
import os
import sys
from runpy import run_module
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
sys.argv[0] = "pytest"
run_module("pytest", run_name="__main__", alter_sys=True)
"""
"""What `python -m pytest` does."""

_STARTED = dict(os.environ)


def can_fork(folder: Path) -> bool:
    """Whether a run in `folder` could have imported `MODULES`, in this environment, before it began."""
    shadowed = any((folder / f"{name.partition('.')[0]}.py").exists() for name in MODULES)
    changed = (name for name, value in os.environ.items() if _STARTED.get(name) != value)
    return hasattr(os, "fork") and not shadowed and not any(map(READ_AT_START.match, changed))


def run_pytest(
    pytester: pytest.Pytester, *args: str | Path, python: str | Path = sys.executable, timeout: float | None = None
) -> pytest.RunResult:
    """As `pytester.runpytest_subprocess`, by `python`."""
    args = (f"--basetemp={mkdtemp(prefix='runpytest-', dir=pytester.path)}", *args)
    if can_fork(pytester.path):
        return _forked(python, *map(os.fspath, args), timeout=timeout)
    return pytester.run(python, "-m", "pytest", *args, timeout=timeout)


@cache
def _preloaded(python: str | Path) -> Preloaded:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return Preloaded(IMPORTED, Path(__file__).parent, python=python, environment=environment)


def _forked(python: str | Path, *args: str, timeout: float | None) -> pytest.RunResult:
    """As `pytester.run(python, "-m", "pytest", *args)`. AssertionError if it takes `timeout` seconds or longer."""
    import pytest

    here = os.getcwd()
    paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    print("forked: pytest", *args, "\n    in:", here)
    environment = {**os.environ, "PYTHONPATH": paths}
    done = _preloaded(python).run(RUN, *args, folder=Path(here), environment=environment, timeout=timeout)
    lines = [done.stdout.splitlines(), done.stderr.splitlines()]
    for printed, stream in zip(lines, (sys.stdout, sys.stderr), strict=True):
        print(*printed, sep="\n", file=stream)
    return pytest.RunResult(done.returncode, *lines, 0.0)
