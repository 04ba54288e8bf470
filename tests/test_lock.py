"""The queue for chips: between processes, across a killed holder, and what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from device_tree import make_system, set_holders

from pytest_tt.targets import lock as lock_module
from pytest_tt.targets.detection import DetectedSystem, command_of, detect
from pytest_tt.targets.lock import ChipLock

if TYPE_CHECKING:
    from collections.abc import Iterator

# Takes the chips of the tree in argv[1] that argv[2] makes visible, waiting argv[3] seconds, and keeps them until told.
CHILD = """
import sys
from pathlib import Path
from pytest_tt.targets.detection import detect
from pytest_tt.targets.lock import ChipLock

root = Path(sys.argv[1])
visible = None if sys.argv[2] == "all" else sys.argv[2]
try:
    with ChipLock(detect(root, visible), timeout_s=float(sys.argv[3]), root=root, say=print):
        print("held", flush=True)
        input()
except TimeoutError as error:
    print("gave up:", error, flush=True)
"""

PROJECT = Path(__file__).parents[1]


class Other:
    """Another process that wants the chips."""

    def __init__(self, root: Path, visible: str = "all", timeout_s: float = 60) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", CHILD, str(root), visible, str(timeout_s)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self) -> str:
        """Let it release the chips and end; returns the rest of what it prints."""
        return self.process.communicate("\n")[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_system(tmp_path, "t3k")


@pytest.fixture
def box(root: Path) -> DetectedSystem:
    return detect(root)


@pytest.fixture
def other(root: Path) -> Iterator[Other]:
    """Another process that holds all chips of the tree."""
    process = Other(root)
    assert process.line() == "held"
    yield process
    if process.process.poll() is None:
        process.kill()
    for pipe in (process.process.stdin, process.process.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()


def make_lock(box: DetectedSystem, root: Path, timeout_s: float = 60) -> tuple[ChipLock, list[str]]:
    said: list[str] = []
    return ChipLock(box, timeout_s=timeout_s, root=root, say=said.append), said


def lock_files(root: Path) -> list[Path]:
    return sorted((root / "tmp").iterdir())


def test_free_chips_are_taken_without_a_word(box: DetectedSystem, root: Path) -> None:
    lock, said = make_lock(box, root)
    with lock:
        assert lock.held
        facts = [json.loads(path.read_text()) for path in lock_files(root)]
        assert [fact["pid"] for fact in facts] == [os.getpid()] * 4
        assert set(facts[0]) == {"pid", "user", "command", "since"}
    assert not lock.held
    assert said == []
    assert [path.read_text() for path in lock_files(root)] == [""] * 4


def test_xdist_worker_names_the_run_it_belongs_to(
    box: DetectedSystem, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setattr(sys, "argv", ["-c"])
    with make_lock(box, root)[0]:
        command = json.loads(lock_files(root)[0].read_text())["command"]
    assert command == f"{command_of(os.getppid())}, worker gw0"


def test_box_without_chips_needs_no_file(tmp_path: Path) -> None:
    lock, _ = make_lock(DetectedSystem.none(), tmp_path)
    with lock:
        assert not (tmp_path / "tmp").exists()


def test_files_are_for_every_user(box: DetectedSystem, root: Path) -> None:
    before = os.umask(0o077)
    try:
        with make_lock(box, root)[0]:
            pass
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in lock_files(root)] == [0o666] * 4


def test_waiting_says_who_holds_and_ends_with_the_chips(box: DetectedSystem, root: Path, other: Other) -> None:
    lock, said = make_lock(box, root, timeout_s=600)
    first_word = threading.Event()
    lock._say = lambda line: (said.append(line), first_word.set())
    thread = threading.Thread(target=lambda: (first_word.wait(60), other.finish()))
    thread.start()
    with lock:
        assert lock.held
    thread.join()
    assert len(said) == 2
    assert re.fullmatch(
        r"tt: waiting for t3k \(4 x n300, 8 chips\): /dev/tenstorrent/0 is held by "
        rf"pid {other.process.pid} \(user [^,]+, -c {re.escape(str(root))} all 60, "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\); waited 0 s, giving up in 600 s",
        said[0],
    )
    assert re.fullmatch(r"tt: got t3k \(4 x n300, 8 chips\) after \d+ s", said[1])


def test_waiting_is_repeated(box: DetectedSystem, root: Path, other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "REPEAT_S", 0.3)
    lock, said = make_lock(box, root, timeout_s=1)
    with pytest.raises(TimeoutError):
        lock.acquire()
    assert len(said) >= 2
    assert all(f"held by pid {other.process.pid}" in line for line in said)


@pytest.mark.parametrize("timeout_s", [0, 0.4])
def test_deadline(timeout_s: float, box: DetectedSystem, root: Path, other: Other) -> None:
    lock, said = make_lock(box, root, timeout_s)
    with pytest.raises(TimeoutError) as caught:
        lock.acquire()
    assert not lock.held
    assert len(said) == (timeout_s > 0)
    text = str(caught.value)
    assert text.startswith("t3k (4 x n300, 8 chips): /dev/tenstorrent/0 is held by pid ")
    assert f"pid {other.process.pid} (" in text
    assert "gave up after 0 s" in text
    assert "--tt-lock-timeout" in text


def test_killed_holder_blocks_nobody(box: DetectedSystem, root: Path, other: Other) -> None:
    other.kill()
    lock, said = make_lock(box, root, timeout_s=0)
    with lock:
        assert str(os.getpid()) in lock_files(root)[0].read_text()
    assert said == []


def test_two_waiters_get_the_chips_in_turn(root: Path, other: Other) -> None:
    waiters = [Other(root), Other(root)]
    for waiter in waiters:
        assert waiter.line().startswith("tt: waiting for t3k")
    for waiter in waiters:
        assert waiter.process.stdin is not None
        waiter.process.stdin.write("\n")  # whichever gets them first gives them back at once
        waiter.process.stdin.flush()
    other.kill()
    assert ["held\n" in waiter.finish() for waiter in waiters] == [True, True]


def test_boards_that_do_not_overlap_do_not_queue(root: Path) -> None:
    first = Other(root, visible="0,1")
    assert first.line() == "held"
    lock, said = make_lock(detect(root, "2,3"), root, timeout_s=0)
    with lock:
        assert lock.held
    assert said == []
    overlapping, _ = make_lock(detect(root, "1,2"), root, timeout_s=0)
    with pytest.raises(TimeoutError, match="/dev/tenstorrent/1 is held by"):
        overlapping.acquire()
    first.finish()


def test_giving_up_lets_go_of_what_was_taken(root: Path) -> None:
    last = Other(root, visible="3")
    assert last.line() == "held"
    with pytest.raises(TimeoutError):
        make_lock(detect(root), root, timeout_s=0)[0].acquire()
    with make_lock(detect(root, "0,1,2"), root, timeout_s=0)[0] as lock:
        assert lock.held
    last.finish()


def test_process_that_does_not_know_the_lock(box: DetectedSystem, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "REPEAT_S", 0.0)
    command = [sys.executable, "-c", "input('ready\\n')"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        set_holders(root, 1, [stranger.pid])
        set_holders(root, 2, [stranger.pid])
        lock, said = make_lock(box, root)

        def say(line: str) -> None:
            said.append(line)
            if len(said) == 2:
                set_holders(root, 1, [])
                set_holders(root, 2, [])

        lock._say = say
        with lock:
            assert lock.held
        stranger.communicate(b"\n")
    who = f"/dev/tenstorrent/1 is held by pid {stranger.pid} ({command[0]} -c {command[2]})"
    assert said[0].startswith(f"tt: waiting for t3k (4 x n300, 8 chips): {who}; waited 0 s, giving up in ")
    assert said[-1].startswith("tt: got t3k")


def test_chips_of_the_parent_are_not_waited_for(box: DetectedSystem, root: Path) -> None:
    with make_lock(box, root)[0]:
        child = Other(root, timeout_s=600)
        said = child.finish()
    assert said.startswith("gave up: t3k")
    assert f"held by pid {os.getpid()} (" in said
    assert "waiting would never end" in said


def test_chips_of_this_process_are_not_waited_for(box: DetectedSystem, root: Path) -> None:
    with make_lock(box, root)[0], pytest.raises(TimeoutError, match="waiting would never end"):
        make_lock(box, root, timeout_s=600)[0].acquire()


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[1]", b'{"pid": "x"}'])
def test_unreadable_owner(text: bytes, box: DetectedSystem, root: Path, other: Other) -> None:
    lock_files(root)[0].write_bytes(text)
    with pytest.raises(TimeoutError, match="/dev/tenstorrent/0 is held by another process; gave up"):
        make_lock(box, root, timeout_s=0)[0].acquire()
    assert other.process.poll() is None


def test_symbolic_link_is_not_followed(box: DetectedSystem, root: Path, tmp_path: Path) -> None:
    with make_lock(box, root)[0]:
        pass
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = lock_files(root)[0]
    path.unlink()
    path.symlink_to(victim)
    with pytest.raises(OSError, match=re.escape(path.name)):
        make_lock(box, root)[0].acquire()
    assert victim.read_text() == "precious"
