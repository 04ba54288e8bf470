"""Processes for tests, forked from one that has imported already what they import, as that is most of what they cost.

What it has started, such as jax's devices, a forked process cannot use: it must import only.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
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
import warnings
gc.freeze()  # else collecting garbage copies the memory of all modules
while line := sys.stdin.readline():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads: numpy's, which wait for work
        pid = os.fork()
    if pid == 0:
        code, arguments, folder, environment, outputs = json.loads(line)
        for number, path in enumerate([os.devnull, *outputs]):
            opened = os.open(path, (os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if number else os.O_RDONLY, 0o644)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)  # the old one has read ahead
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

    def __init__(
        self,
        first: str,
        folder: Path,
        *,
        python: str | Path = sys.executable,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._command = [python, "-c", first + SERVE]
        self._folder = folder
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, code: str, *arguments: str, folder: Path, environment: Mapping[str, str], timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """As ``python -c code arguments`` in `folder`, with all of `environment` and nothing else.

        AssertionError if it takes `timeout` seconds or longer.
        """
        with TemporaryDirectory(prefix="preloaded-") as room:
            outputs = [Path(room, name) for name in ("stdout", "stderr")]
            job = [code, arguments, str(folder), dict(environment), [*map(str, outputs)]]
            exit_code = self._ask(json.dumps(job), timeout)
            printed, error = (path.read_text(encoding="utf-8") for path in outputs)
        return subprocess.CompletedProcess(["python", "-c", code, *arguments], exit_code, printed, error)

    def _ask(self, job: str, timeout: float | None) -> int:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(job, file=process.stdin, flush=True)
            answered, _, _ = select.select([process.stdout], [], [], timeout)
            assert answered, f"does not end in {timeout} s: {job}"
            return int(process.stdout.readline())
        except BaseException:
            self.close()
            raise

    def _start(self) -> subprocess.Popen[str]:
        atexit.register(self.close)
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self._folder,
            env=dict(self._environment),
        )

    def close(self) -> None:
        """End it, and what it runs; the next run starts it anew."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()
