"""The compiler's process: what one program does to it concerns no other one, and nothing of it is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_compiler import make_build

from pytest_tt.tt_compiler import worker
from pytest_tt.tt_compiler.artifact import Artifact
from pytest_tt.tt_compiler.errors import TTCompileError
from pytest_tt.tt_compiler.refusal import Refusal
from pytest_tt.tt_compiler.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the compiler is for Linux")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which processes of the compiler make theirs."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(make_build(tmp_path))
    yield server
    server.close()


def compiled(server: Server, module: str = "good", limit_s: float = 60) -> Artifact | Refusal:
    return server.compile(
        module.encode(),
        descriptor=b"described",
        devices=2,
        options={"k": "v"},
        name=f"program {module}",
        limit_s=limit_s,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Fails by the time limit of the whole run only: there is no time that a loaded machine keeps."""
    while not condition():
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """A zombie is not running: whoever started it has not asked for its status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_is_compiled_and_nothing_is_printed(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    found = compiled(server)
    assert isinstance(found, Artifact)
    assert "@main" in found.ttnn
    assert found.ttir == "devices 2 options {'k': 'v'}"
    assert found.log == "loc(unknown): warning: printed while compiling\n"
    server.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("aborts", "the compiler crashed (signal SIGABRT)"),
        ("exits", "the compiler crashed (exit status 7)"),
        ("hangs", "the compiler did not end within 1 s, and was killed"),
        ("raises", "it could not be asked: ImportError: libsomething.so: cannot open shared object file"),
        ("garbage", "what it gave is not a program: no TTSERv00 in 10240 bytes"),
    ],
)
def test_what_one_program_does_concerns_no_other(
    server: Server, module: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = compiled(server)
    pid = server.pid
    with pytest.raises(TTCompileError, match=re.escape(f"TT's compiler: program {module}: {words}")) as caught:
        compiled(server, module, limit_s=1 if module == "hangs" else 60)
    assert caught.value.program == f"program {module}"
    assert "printed while compiling" in caught.value.log
    assert compiled(server) == before
    assert server.pid == pid, "it is still the same process"
    assert capfd.readouterr() == ("", "")


def test_what_a_program_started_ends_with_it(server: Server) -> None:
    with pytest.raises(TTCompileError) as caught:
        compiled(server, "hangs", limit_s=2)
    started = re.search(r"started (\d+)", caught.value.log)
    assert started is not None
    wait_until(lambda: not is_running(int(started[1])))


def test_a_refusal_says_why(server: Server) -> None:
    found = compiled(server, "refused")
    assert isinstance(found, Refusal)
    assert "failed to legalize operation 'stablehlo.cholesky'" in found.log
    assert found.lasting


def test_closing_leaves_nothing_and_the_next_program_starts_it_again(server: Server, temporary: Path) -> None:
    assert server.pid is None, "it starts with the first program"
    compiled(server)
    first = server.pid
    assert first is not None
    assert len(list(temporary.iterdir())) == 1
    server.close()
    assert not is_running(first)
    assert list(temporary.iterdir()) == []
    compiled(server)
    assert server.pid not in (None, first)


def test_a_killed_process_is_started_again(server: Server, temporary: Path) -> None:
    before = compiled(server)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(server.pid or 0))
    assert compiled(server) == before
    left = {path.name for path in temporary.iterdir()}
    assert len(left) == 2
    worker.remove_stale(temporary)
    assert {path.name for path in temporary.iterdir()} == left, "too young to tell whether somebody uses it"
    for path in temporary.iterdir():
        os.utime(path, (0, 0))
    worker.remove_stale(temporary)
    assert len(list(temporary.iterdir())) == 1, "that of the process that runs is locked"
    assert compiled(server) == before


def test_a_process_that_ended_meanwhile_is_not_the_programs_doing(server: Server, temporary: Path) -> None:
    before = compiled(server)
    first = server.pid
    assert first is not None
    [loader] = [pid for pid in worker.processes_of(first) if pid != first]
    os.kill(loader, signal.SIGKILL)  # as the kernel does when memory runs out
    assert compiled(server) == before
    assert server.pid not in (None, first)
    assert len(list(temporary.iterdir())) == 1


def test_ctrl_c_is_not_answered_by_the_next_program(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(server)
    first = server.pid

    def interrupted(*args: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(server, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compiled(server, "refused")
    assert isinstance(compiled(server), Artifact)
    assert server.pid not in (None, first)


def test_two_at_once(server: Server, tmp_path: Path, temporary: Path) -> None:
    other = Server(make_build(tmp_path))
    try:
        assert compiled(server) == compiled(other)
        assert len(list(temporary.iterdir())) == 2
        assert server.pid != other.pid
    finally:
        other.close()
    assert isinstance(compiled(server), Artifact)


def test_a_library_that_does_not_load(tmp_path: Path) -> None:
    server = Server(make_build(tmp_path, "broken"))
    for _ in range(2):
        with pytest.raises(TTCompileError, match=r"good: .*libfake.so does not load: OSError: invalid ELF header"):
            compiled(server)
        assert server.pid is None


@pytest.mark.parametrize("module", ["good", "hangs"])
def test_nothing_is_left_when_the_run_is_killed(tmp_path: Path, temporary: Path, module: str) -> None:
    code = f"""
import sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from fake_compiler import make_build
from pytest_tt.tt_compiler.server import Server
server = Server(make_build(Path({str(tmp_path)!r})))
def compiled(module, limit_s):
    server.compile(module, descriptor=b"", devices=1, options={{}}, limit_s=limit_s)
compiled(b"good", 60)
threading.Thread(target=compiled, args=({module.encode()!r}, 600), daemon=True).start()
print(server.pid, flush=True)
time.sleep(600)
"""
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    guard = int(run.stdout.readline())
    if module == "hangs":
        wait_until(lambda: any("started" in path.read_text() for path in temporary.glob("*/program-*/log")))
    # The process of a program that compiles ends soon.
    wait_until(lambda: len(worker.processes_of(guard)) == (4 if module == "hangs" else 2))
    group = worker.processes_of(guard)
    run.kill()
    run.wait()
    run.stdout.close()
    wait_until(lambda: not any(map(is_running, group)))
    wait_until(lambda: list(temporary.iterdir()) == [])
