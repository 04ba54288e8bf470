"""Keeps a child ready for the next test; on hw one that has opened its chips."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_tt.isolation.neighbours import worker_input
from pytest_tt.isolation.process import Child, CrashedError, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_tt.isolation.coverage import SharedCoverage
    from pytest_tt.isolation.crash import Crash
    from pytest_tt.targets.lent import LentChips

# How long a child may take to import and collect what the parent has collected.
START_S = 600.0
# How long chips may take to open after a crash; the test's own limit if that is shorter.
OPEN_S = 300.0
# How long an interrupted test may take to end: without chips, and with chips to close.
GRACE_S = 2.0
GRACE_HW_S = 15.0
# How long a child may take to end once nothing is left to do.
FINISH_S = 60.0
# How many children in a row may fail before their first test until no more are started.
_MOST_FAILED_STARTS = 2


class StartError(Exception):
    """No child can run a test; the text says why. `final`: no other test can run either."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class Pool:
    """The current child and a spare. `chips`: those that the parent holds on hw; `forget` cleans up after a process."""

    def __init__(
        self,
        config: pytest.Config,
        chips: LentChips | None,
        timeout_s: float,
        *,
        coverage: SharedCoverage | None,
        say: Callable[[str], None],
        forget: Callable[[int], None],
    ) -> None:
        self._config = config
        self._chips = chips
        self._coverage = coverage
        self._say = say
        self._forget = forget
        self._open_s = min(OPEN_S, timeout_s or OPEN_S)
        self._grace_s = GRACE_S if chips is None else GRACE_HW_S
        self.child: Child | None = None
        self._lost = False
        self._spare: Child | None = None
        self._started = 0
        self._failed_starts = 0
        # Why no child can use the chips; the crash that may have left them hung.
        self._hung: str | None = None
        self._suspect: str | None = None
        self._worker_input = worker_input(config)

    def end_hung(self, child: Child, how: str) -> Crash:
        """End `child`, which exceeded a time limit, as `how` says."""
        self._prepare_spare()
        return child.end_hung(how, self._grace_s)

    def get(self, uses_chips: bool) -> Child:
        """A child that is ready for a test. Raises StartError."""
        if uses_chips and self._hung is not None:
            raise StartError(self._hung)
        child = self.child or self._start()
        return self._with_chips(child) if uses_chips and self._suspect is not None else child

    def lost(self, what: str) -> None:
        """The child has crashed: `what` is the test and how."""
        self.child = None
        self._lost = True
        if self._chips is not None:
            self._suspect = what

    def retire(self, after: str) -> None:
        """Let the child end properly, because test `after` left it unfit for another test."""
        self._prepare_spare()
        problem = self._finish()
        if problem is not None:
            self.lost(f"{after} (its process {problem})")

    def finish(self) -> str | None:
        """Let the last child end properly; returns how it crashed, if it did."""
        if self._spare is not None:
            self._spare.kill()
            self._spare = None
        return self._finish()

    def _finish(self) -> str | None:
        child, self.child = self.child, None
        return None if child is None else child.finish(FINISH_S)

    def end(self) -> None:
        """Interrupt the child, which may be in the middle of a test."""
        if self.child is not None:
            self.child.end(self._grace_s)
        self.close()

    def close(self) -> None:
        """Kill all children."""
        for child in (self._spare, self.child):
            if child is not None:
                child.kill()
        self.child = self._spare = None

    def _start(self) -> Child:
        if self._chips is not None and self._suspect is not None:
            self._chips.wait_until_free()
        problem = self._try_to_start()
        if problem is None:
            self._failed_starts = 0
            assert self.child is not None
            if self._lost:
                self._prepare_spare()  # where one test crashes, others may
            return self.child
        text = f"no test process: the one that was started {problem}; see its own messages above"
        self._failed_starts += 1
        if self._failed_starts == _MOST_FAILED_STARTS:
            raise StartError(f"{text}; the one before it failed too", final=True)
        raise StartError(text)

    def _try_to_start(self) -> str | None:
        """Start a child; returns how it failed, if it did. Raises StartError if it says why itself."""
        try:
            child = self._spare or self._launch()
        except OSError as error:
            return f"did not start ({error.strerror})"
        self.child, self._spare = child, None
        try:
            deadline = time.monotonic() + START_S
            while (message := child.receive(deadline)) is not None:
                if message["kind"] == "ready":
                    return None
                if message["kind"] == "unready":
                    self.child = None
                    child.leaving = True
                    child.end(self._grace_s)
                    raise StartError(f"the test process cannot be set up: {message['problem']}", final=True)
            crash = child.end_hung(f"had not collected the tests after {START_S:g} s", self._grace_s)
        except CrashedError:
            crash = child.crash()
        self.child = None
        return crash.how

    def _prepare_spare(self) -> None:
        """Start the next child in the background; not on hw, where a second process must not open the chips."""
        if self._spare is None and self._chips is None:
            with suppress(OSError):
                self._spare = self._launch(warm=True)

    def _launch(self, *, warm: bool = False) -> Child:
        self._started += 1
        return Child(self._how_to_start(warm), self._forget)

    def _how_to_start(self, warm: bool) -> Start:
        config = self._config
        start = Start(
            args=_arguments(config, self._started),
            directory=str(config.invocation_params.dir),
            workerinput=self._worker_input,
            coverage=None if self._coverage is None else self._coverage.message(),
            warm=warm,
            colour=bool(getattr(config.pluginmanager.get_plugin("terminalreporter"), "hasmarkup", False)),
        )
        if self._chips is None:
            return start
        environ, directories = self._chips.environment()
        return replace(start, environ=environ, directories=directories, keep_open=self._chips.lock_descriptors)

    def _with_chips(self, child: Child) -> Child:
        """`child`, or one in its place, with the chips open. Raises StartError if they hang."""
        chips, suspect = self._chips, self._suspect
        assert chips is not None
        problem = self._open(child)
        if problem is not None:
            hung = f"{chips.detected.description} did not come back after {suspect}: {problem}"
            if not chips.may_reset:
                hung += f"; reset it with `{chips.reset_command}`, or let the run do so with --tt-reset"
                self._give_up(hung)
            self._say(f"tt: {hung}; resetting: {chips.reset_command}")
            problem = chips.reset() or self._open(child := self._start())
            if problem is not None:
                self._give_up(f"{hung}; after `{chips.reset_command}`: {problem}")
            self._say(f"tt: {chips.detected.description} is back")
        self._suspect = None
        return child

    def _give_up(self, hung: str) -> None:
        self._hung = hung
        self._say(f"tt: {hung}")
        raise StartError(hung)

    def _open(self, child: Child) -> str | None:
        """Have `child` open the chips; returns why that failed, if it did: the child is gone then."""
        try:
            child.begin_test()
            child.send({"do": "open"})
            message = child.receive(time.monotonic() + self._open_s)
            if message is None:
                problem = child.end_hung(f"opening them took more than {self._open_s:g} s", self._grace_s).how
            elif message["problem"] is None:
                return None
            else:
                problem = message["problem"]
                child.finish(self._grace_s)  # it waits for what to do next: a signal may be lost on it
        except CrashedError:
            problem = f"the process that opened them {child.crash().how}"
        self.child = None
        return problem


def _arguments(config: pytest.Config, number: int) -> tuple[str, ...]:
    """pytest's command line for child `number`: ours, without processes below it and with its own base directory."""
    given = [str(argument) for argument in config.invocation_params.args]
    added = []
    if hasattr(config.option, "numprocesses"):  # pytest-xdist
        added += ["-n", "0"]
    if hasattr(config.option, "no_cov"):  # pytest-cov would empty its data file; ChildCoverage measures instead
        added += ["--no-cov", "-p", "no:_cov"]
    basetemp = config.getoption("basetemp", None)
    if basetemp:  # pytest empties it at its first use
        added += ["--basetemp", f"{basetemp}-isolated-{number}"]
    place = given.index("--") if "--" in given else len(given)
    return (*given[:place], *added, *given[place:])
