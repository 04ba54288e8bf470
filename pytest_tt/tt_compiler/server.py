"""The compiler's process, seen from the process that asks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pytest_tt.tt_compiler import worker
from pytest_tt.tt_compiler.artifact import Artifact, outputs_from_json
from pytest_tt.tt_compiler.errors import TTCompileError, crashed, timed_out
from pytest_tt.tt_compiler.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

    from pytest_tt.tt_compiler.build import Build

LIMIT_S = 300.0
# Loading unpacks 417 MB: seconds on a quiet machine.
_START_LIMIT_S = 300.0
# The compiler's process ends a program at its limit; that it does not answer then is not expected.
_MARGIN_S = 30.0
_CLOSE_LIMIT_S = 120.0


class Server:
    """A process that compiles programs for any system, one after another. It starts at the first one.

    It prints nothing, and has a temporary directory of its own; both are gone after `close` and, should this process
    be killed, by themselves. A program that makes the compiler crash or hang costs the others nothing.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[bytes, bytes] | None = None
        self._life: int | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, None before it starts and after `close`."""
        return None if self._process is None else self._process.pid

    def compile(
        self,
        module: bytes,
        *,
        descriptor: bytes,
        devices: int,
        options: Mapping[str, str],
        name: str = "program",
        limit_s: float = LIMIT_S,
        mock: Mapping[str, Any] | None = None,
    ) -> Artifact | Refusal:
        """Compile StableHLO bytecode for the first `devices` chips of a system, or tell why the compiler refuses it.

        With `mock`, keywords of `native.run_on_mock`, the program also runs, and `descriptor` is one of a cluster.
        Raises TTCompileError with `name` if the compiler crashed, did not end within `limit_s` seconds, or gave
        something else than a program. The next one is not affected.
        """
        with self._lock:
            request = {"devices": devices, "options": dict(options), "limit_s": limit_s, "mock": mock}
            try:
                answer, parts = self._ask_one_that_runs(request, module, descriptor, limit_s)
            except _NotLoaded as error:
                log = self._printed()
                self._stop()
                why = log.strip().rpartition("\n")[2] or "it printed nothing"
                raise TTCompileError(f"{error}: {why}", program=name, log=log) from None
            except _Gone as error:
                log = self._printed()
                self._stop()
                raise crashed(str(error), log, program=name) from None
            except BaseException:  # Ctrl-C: the answer to come is not that of the next program
                self._stop()
                raise
        log, outcome = answer["log"], answer["outcome"]
        if outcome == worker.CRASHED:
            raise crashed(answer["how"], log, program=name)
        if outcome == worker.OUT_OF_TIME:
            raise timed_out(limit_s, log, program=name)
        if outcome == worker.REFUSED:
            return Refusal(log)
        if outcome == worker.FAILED:
            last = log.strip().rpartition("\n")[2]
            raise TTCompileError(f"it could not be asked: {last}", program=name, log=log)
        if outcome == worker.UNREADABLE:
            raise TTCompileError(f"what it gave is not a program: {answer['how']}", program=name, log=log)
        ttir, ttnn, outputs = parts
        return Artifact(ttir.decode(), ttnn.decode(), log, outputs_from_json(outputs))

    def close(self) -> None:
        """End the process, and wait until it has removed its directory. A later program starts another one."""
        if self._owner == os.getpid():  # a process forked from this one has only a copy
            with self._lock:
                self._stop()

    def _ask_one_that_runs(
        self, request: Mapping[str, Any], module: bytes, descriptor: bytes, limit_s: float
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Ask again where the process has ended since the program before: that is not this one's doing."""
        again = self._process is not None
        try:
            return self._ask(request, module, descriptor, limit_s)
        except _Ended:
            if not again:
                raise
        self._stop()
        return self._ask(request, module, descriptor, limit_s)

    def _ask(
        self, request: Mapping[str, Any], module: bytes, descriptor: bytes, limit_s: float
    ) -> tuple[dict[str, Any], list[bytes]]:
        connection = self._started()
        try:
            for content in (json.dumps(request).encode(), module, descriptor):
                connection.send_bytes(content)
            answer = json.loads(self._receive(connection, limit_s + _MARGIN_S))
            return answer, [self._receive(connection, _MARGIN_S) for _ in worker.PARTS]
        except (EOFError, OSError):
            raise _Ended("its process ended") from None

    def _receive(self, connection: Connection[bytes, bytes], limit_s: float) -> bytes:
        if not connection.poll(limit_s):
            raise _Gone(f"its process did not answer within {limit_s:g} s")
        return connection.recv_bytes()

    def _started(self) -> Connection[bytes, bytes]:
        if self._connection is not None and self._process is not None and self._process.poll() is None:
            return self._connection
        self._stop()
        # By its end the guard knows that this process is gone: nobody else has it.
        theirs, self._life = os.pipe()
        self._connection, connection = Pipe()
        self._output = tempfile.TemporaryFile(prefix="pytest-tt-")  # noqa: SIM115 - it lives as long as the process
        settings = {
            "life": theirs,
            "connection": connection.fileno(),
            "engine": self._build.engine,
            "library": str(self._build.library),
        }
        path = [str(Path(entry).absolute()) for entry in sys.path]
        code = f"import sys; sys.path[:] = {path!r}\nfrom pytest_tt.tt_compiler.worker import main\nmain()"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, json.dumps(settings)],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(theirs, connection.fileno()),
                start_new_session=True,
            )
        finally:
            os.close(theirs)
            connection.close()
        try:
            self._receive(self._connection, _START_LIMIT_S)
        except (EOFError, OSError):
            raise _NotLoaded(f"{self._build.library} does not load") from None
        return self._connection

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._life is not None:
            os.close(self._life)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):  # it goes on alone: removing 417 MB takes a while
                self._process.wait(_CLOSE_LIMIT_S)
        if self._output is not None:
            self._output.close()
        self._connection = self._life = self._process = self._output = None

    def _printed(self) -> str:
        """The end of what the process itself printed: why the library did not load."""
        if self._output is None:
            return ""
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - 65536))
        return self._output.read().decode("utf-8", "replace")


class _Gone(Exception):
    """The compiler's process does not answer."""


class _Ended(_Gone):
    """It has ended."""


class _NotLoaded(Exception):
    """The compiler's process ended before the first program."""


def _environment() -> dict[str, str]:
    """Without what would make the library look for a card, and jax start more than it needs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TT_", "JAX_", "XLA_", "PJRT_"))}
