"""The time limit of an isolated test, while TT's compiler works for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_tt.isolation import dispatch
from pytest_tt.isolation.dispatch import COMPILER_S, Dispatch

if TYPE_CHECKING:
    import pytest

LIMIT_S = 50.0
ASKED: dict[str, Any] = {"kind": "compiling", "program": "step"}
ANSWERED: dict[str, Any] = {"kind": "compiling", "program": None}


class Child:
    """Sends messages at given times of its own clock, and keeps the deadlines that it was given."""

    def __init__(self, messages: list[tuple[float, dict[str, Any]]]) -> None:
        self.messages = messages
        self.now = 1000.0
        self.deadlines: list[float | None] = []

    def begin_test(self) -> None:
        """Nothing to forget."""

    def send(self, message: dict[str, Any]) -> None:
        """It knows what to do."""

    def receive(self, deadline: float | None) -> dict[str, Any] | None:
        self.deadlines.append(None if deadline is None else deadline - 1000)
        at, message = self.messages.pop(0)
        if deadline is not None and 1000 + at > deadline:
            return None
        self.now = 1000 + at
        return message


def run(monkeypatch: pytest.MonkeyPatch, limit_s: float, *messages: tuple[float, dict[str, Any]]) -> tuple[bool, Any]:
    child: Any = Child(list(messages))
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: child.now))
    item: Any = SimpleNamespace(session=SimpleNamespace(shouldstop=False, shouldfail=False), nodeid="test_x")
    attempts: Any = SimpleNamespace(message=list)
    done = {"kind": "done", "exhausted": False, "shouldstop": False, "shouldfail": False}
    child.messages += [(child.messages[-1][0] + 1, done)]
    return Dispatch(child, item, ("test_x", 0), None, attempts).run(limit_s), child.deadlines


def test_what_the_compiler_takes_is_not_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, deadlines = run(monkeypatch, LIMIT_S, (40, ASKED), (85, ANSWERED), (94, {"kind": "started"}))
    assert ended
    assert deadlines == [LIMIT_S, 40 + LIMIT_S + COMPILER_S, LIMIT_S + 45, LIMIT_S + 45]


def test_what_it_leaves_is_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, deadlines = run(monkeypatch, LIMIT_S, (40, ASKED), (85, ANSWERED), (96, {"kind": "started"}))
    assert not ended
    assert deadlines[-1] == LIMIT_S + 45


def test_a_compiler_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, LIMIT_S, (40, ASKED), (40 + LIMIT_S + COMPILER_S + 1, ANSWERED))[0] is False
    assert run(monkeypatch, 0, (40, ASKED), (10_000, ANSWERED)) == (True, [None, None, None])
