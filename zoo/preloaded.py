"""Processes for tests, forked from one that has imported already what they import, as that is most of what they cost.

What it has started, such as jax's devices, a forked process cannot use: it must import only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVE = """
import gc
import json
import os
import sys
gc.freeze()  # else collecting garbage copies the memory of all modules
while line := sys.stdin.readline():
    code, arguments, folder, environment, outputs = json.loads(line)
    pid = os.fork()
    if pid == 0:
        for number, path in enumerate(outputs, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["-c", *arguments]
        exec(code, {"__name__": "__main__"})
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Preloaded:
    """Runs Python code in processes that are forked from one that has run `first` in `folder`.

    That one starts with the first of them. Variables of the environment that modules read when they are imported are
    read there, so `first` must not import those whose variables matter.
    """

    def __init__(self, first: str, folder: Path) -> None:
        self._first = first
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, code: str, *arguments: str, folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """As ``python -c code arguments`` in `folder`, with all of `environment` and nothing else."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with TemporaryDirectory(prefix="preloaded-") as room:
            outputs = [Path(room, name) for name in ("stdout", "stderr")]
            job = [code, arguments, str(folder), dict(environment), [*map(str, outputs)]]
            print(json.dumps(job), file=process.stdin, flush=True)
            exit_code = int(process.stdout.readline())
            printed, error = (path.read_text(encoding="utf-8") for path in outputs)
        return subprocess.CompletedProcess([sys.executable, "-c", code, *arguments], exit_code, printed, error)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "ignore", "-c", self._first + SERVE]  # of forking beside numpy's threads
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self._folder)

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None
