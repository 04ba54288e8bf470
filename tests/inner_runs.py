"""Inner runs of pytest, each a process of its own, forked from one that has imported pytest, jax and flax already.

Importing them is two thirds of what a short run costs. jax is imported but not started there, so each run starts it,
and counts its devices, for itself. What is about the imports themselves, or about variables that are read then, runs
in a fresh process: see `can_fork`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MODULES = ("pytest", "numpy", "jax.numpy", "flax.linen", "flax.nnx")
READ_AT_START = re.compile(r"(JAX_|XLA_|PJRT_|LD_|PYTHON)(?!PATH$|DONTWRITEBYTECODE$)")
"""Environment variables that these modules, the loader and Python read when they start."""

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
        return _preloaded(python).run(pytester, *args, timeout=timeout)
    return pytester.run(python, "-m", "pytest", *args, timeout=timeout)


@cache
def _preloaded(python: str | Path) -> Preloaded:
    return Preloaded(python)


class Preloaded:
    """The process that runs are forked from; it starts with the first one."""

    def __init__(self, python: str | Path) -> None:
        self._python = python
        self._process: subprocess.Popen[str] | None = None

    def run(self, pytester: pytest.Pytester, *args: str | Path, timeout: float | None = None) -> pytest.RunResult:
        """As `pytester.run(python, "-m", "pytest", *args)`. AssertionError if it takes `timeout` seconds or longer."""
        import pytest

        outputs = [pytester.path / name for name in ("stdout", "stderr")]
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), environment.get("PYTHONPATH")]))
        print("forked: pytest", *args, "\n    in:", os.getcwd())
        code = self._ask(
            {
                "args": [os.fspath(arg) for arg in args],
                "folder": os.getcwd(),
                "environment": environment,
                "outputs": [str(path) for path in outputs],
            },
            timeout,
        )
        lines = [path.read_text(encoding="utf-8").splitlines() for path in outputs]
        for printed, stream in zip(lines, (sys.stdout, sys.stderr), strict=True):
            print(*printed, sep="\n", file=stream)
        return pytest.RunResult(code, *lines, 0.0)

    def _ask(self, job: dict[str, Any], timeout: float | None) -> int:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(json.dumps(job), file=process.stdin, flush=True)
            answered, _, _ = select.select([process.stdout], [], [], timeout)
            assert answered, f"pytest {' '.join(job['args'])}: does not end in {timeout} s"
            return int(process.stdout.readline())
        except BaseException:
            self.close()
            raise

    def _start(self) -> subprocess.Popen[str]:
        atexit.register(self.close)
        return subprocess.Popen(
            [self._python, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )

    def close(self) -> None:
        """End it, and the run that goes on."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()


def serve() -> int:
    """Fork a process for each job, a line of JSON on standard input, and tell its exit code: -N for signal N."""
    import warnings
    from importlib import import_module
    from runpy import run_module

    del sys.path[0]
    for name in MODULES:
        with suppress(ImportError):
            import_module(name)
    gc.freeze()  # else collecting garbage copies the memory of all of these
    while line := sys.stdin.readline():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there are threads: numpy's, which wait for work
            pid = os.fork()
        if pid == 0:
            become(json.loads(line))
            run_module("pytest", run_name="__main__", alter_sys=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    return 0


def become(job: dict[str, Any]) -> None:
    """Make this process what `python -m pytest` is when it starts."""
    for number, path in enumerate((os.devnull, *job["outputs"])):
        opened = os.open(path, (os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if number else os.O_RDONLY, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)  # the old one has read ahead
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.path[:0] = job["environment"]["PYTHONPATH"].split(os.pathsep)
    sys.argv = ["pytest", *job["args"]]


if __name__ == "__main__":
    sys.exit(serve())
