"""The compiler's process. It loads the library once and forks for each program, so that nothing a program does to the
library, which may crash, hang or print, reaches the next one.

There are two processes: a guard, which loads nothing, and the loader, its child. The guard ends the loader and removes
its directory when the process that started it is gone, however that ended; the kernel ends the loader with the guard.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_tt.tt_compiler.artifact import outputs_to_json, split_serialized

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "pytest-tt-compiler-"
_LOCK = "lock"
# A directory that is younger may belong to a process that has not locked it yet.
_YOUNG_S = 60
# Of what a program's process printed, this much is kept: the end.
_LOG_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1

# How a program's process ended.
COMPILED, REFUSED, FAILED, CRASHED, OUT_OF_TIME = "compiled", "refused", "failed", "crashed", "out of time"
UNREADABLE = "unreadable"
# What is sent of a program that compiles, in this order.
PARTS = ("ttir", "ttnn", "outputs")


def main() -> None:
    """Guard a loader, whose settings are in the first argument; returns when both are done."""
    settings = json.loads(sys.argv[1])
    if os.getsid(0) != os.getpid():
        raise RuntimeError("the compiler's process needs a session of its own: it ends all that is in it")
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, (Path(name) / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_stale(Path(name).parent)
        guard = os.getpid()
        loader = os.fork()
        if loader == 0:
            os.close(settings["life"])
            os._exit(_serve_to_the_end(settings, Path(name), guard))
        os.close(settings["connection"])
        ended = os.pidfd_open(loader)
        wait([settings["life"], ended])
        _end_session()
        os.waitpid(loader, 0)


def _end_session() -> None:
    """End every other process of this session: the loader, a program's process, and what that has started.

    They are gone when this returns, or zombies: they no longer write to the directory.
    """
    me = os.getpid()
    while others := [pid for pid in processes_of(os.getsid(0)) if pid != me]:
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def processes_of(session: int) -> list[int]:
    """The processes of a session that have not ended (proc(5): state and session are the third and sixth field)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(path.parent.name))
    return found


def remove_stale(directory: Path) -> None:
    """Remove what guards left in `directory` that were killed: nobody holds their locks."""
    for path in directory.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < _YOUNG_S:
                continue
            with (path / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)


def _serve_to_the_end(settings: Mapping[str, Any], directory: Path, guard: int) -> int:
    try:
        _die_with(guard)
        _serve(settings, directory)
    except (EOFError, BrokenPipeError):
        return 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve(settings: Mapping[str, Any], directory: Path) -> None:
    """Load the library, say so, and compile what is asked for until nobody asks any more."""
    connection = Connection(settings["connection"])
    _use_directory(directory)
    warnings.filterwarnings("ignore", message=r".*\bfork\(\)")  # no other thread of this process does anything
    engine = importlib.import_module(settings["engine"])
    library = Path(settings["library"])
    engine.load(library)
    _send(connection, {"ready": True})
    while True:
        request = json.loads(connection.recv_bytes())
        module, descriptor = connection.recv_bytes(), connection.recv_bytes()
        with tempfile.TemporaryDirectory(prefix="program-", dir=directory, ignore_cleanup_errors=True) as name:
            outcome = _compile_apart(engine, library, request, module, descriptor, Path(name))
            _send(connection, outcome)
            for part in PARTS:
                content = Path(name) / part
                connection.send_bytes(content.read_bytes() if outcome["outcome"] == COMPILED else b"")


def _send(connection: Connection[bytes, bytes], message: Mapping[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _compile_apart(
    engine: Any, library: Path, request: Mapping[str, Any], module: bytes, descriptor: bytes, directory: Path
) -> dict[str, Any]:
    """Compile one program in a process of its own, and say how that ended."""
    loader = os.getpid()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _die_with(loader)
            os.setpgid(0, 0)
            code = _compile(engine, library, request, module, descriptor, directory)
        finally:
            os._exit(code)
    ended = os.pidfd_open(child)
    in_time = bool(wait([ended], request["limit_s"]))
    os.close(ended)
    for kill, number in ((os.killpg, child), (os.kill, child)):  # it may not have its own group yet
        with suppress(ProcessLookupError, PermissionError):
            kill(number, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    said = {"log": _end_of(directory / "log")}
    if not in_time:
        return said | {"outcome": OUT_OF_TIME}
    result = directory / "outcome"
    if result.exists():  # written when all else was
        outcome, _, how = result.read_text(encoding="utf-8").partition("\n")
        return said | {"outcome": outcome, "how": how}
    code = os.waitstatus_to_exitcode(status)
    how = f"exit status {code}" if code >= 0 else f"signal {_signal_name(-code)}"
    return said | {"outcome": CRASHED, "how": how}


def _compile(
    engine: Any, library: Path, request: Mapping[str, Any], module: bytes, descriptor: bytes, directory: Path
) -> int:
    """What a program's process does; its exit status."""
    log = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _use_directory(directory)
    description = directory / "system.ttsys"
    description.write_bytes(descriptor)
    options = request["options"]
    how = ""
    try:
        mock = request.get("mock")
        arguments = (library, module, request["devices"], options, description)
        serialized = engine.compile(*arguments) if mock is None else engine.run_on_mock(*arguments, **mock)
        try:
            artifact = split_serialized(serialized)
        except ValueError as error:
            outcome, how = UNREADABLE, str(error)
        else:
            contents = (artifact.ttir.encode(), artifact.ttnn.encode(), outputs_to_json(artifact.outputs))
            for part, content in zip(PARTS, contents, strict=True):
                (directory / part).write_bytes(content)
            outcome = COMPILED
    except BaseException as error:
        outcome = REFUSED if isinstance(error, engine.Refused) else FAILED
        with suppress(BaseException):
            if outcome == REFUSED:
                print(f"error: {error}", file=sys.stderr)
            else:
                traceback.print_exc()
            sys.stderr.flush()
    (directory / "outcome").write_text(f"{outcome}\n{how}", encoding="utf-8")
    return 0 if outcome == COMPILED else 1


def _use_directory(directory: Path) -> None:
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)
    os.chdir(directory)


def _die_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def _end_of(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LOG_BYTES))
        return file.read().decode("utf-8", "replace")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
