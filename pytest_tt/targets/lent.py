"""Chips that one process holds and other processes open, one after the other: those of an isolated run on a card."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.targets.detection import VISIBLE_VARIABLE, holders

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tt.targets.detection import DetectedSystem

CACHE_VARIABLE = "TT_METAL_CACHE"

# How long the kernel may take to close what a killed process had open.
_FREE_S = 10.0
_RESET_S = 300.0


@dataclass(frozen=True, slots=True)
class LentChips:
    """The chips of `detected`, whose locks this process holds."""

    detected: DetectedSystem
    lock_descriptors: tuple[int, ...]
    may_reset: bool
    cache: Path | None
    """Where compiled kernels are kept between runs; None for as long as a child lives."""

    def environment(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Variables for a child, and the directories in them that end with it.

        TT's client writes files of fixed names into the directory for temporary files, and runs that compile kernels
        into one cache at the same time disturb each other.
        """
        own = tempfile.mkdtemp(prefix="pytest-tt-")
        # tmp_path stays where it would be without: people look there after a failure.
        environ = {
            "TMPDIR": own,
            "PYTEST_DEBUG_TEMPROOT": os.environ.get("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir()),
        }
        addresses = [board.bdf for board in self.detected.boards if board.bdf is not None]
        if len(addresses) == len(self.detected.boards):
            environ[VISIBLE_VARIABLE] = ",".join(addresses)
        base = os.environ.get(CACHE_VARIABLE) or self.cache or os.path.join(own, "tt-metal")
        environ[CACHE_VARIABLE] = os.path.join(base, self._name())
        os.makedirs(environ[CACHE_VARIABLE], exist_ok=True)
        return environ, (own,)

    def wait_until_free(self) -> None:
        """Wait for the driver to close what a child that died had open; if it does not, opening the chips will tell."""
        limit = time.monotonic() + _FREE_S
        while holders(self.detected) and time.monotonic() < limit:
            time.sleep(0.1)

    @property
    def reset_command(self) -> str:
        """How to reset these boards and no others."""
        return f"tt-smi -r {','.join(str(node) for node in sorted(board.node for board in self.detected.boards))}"

    def reset(self) -> str | None:
        """Reset the boards; returns what went wrong."""
        others = holders(self.detected)
        if others:
            return "not run: " + "; ".join(f"pid {who.pid} ({who.command}) has chip {who.chip} open" for who in others)
        words = self.reset_command.split()
        program = shutil.which(words[0])
        if program is None:
            return "tt-smi is not installed (not on PATH)"
        try:
            done = subprocess.run(
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_RESET_S,
                check=False,
            )
        except OSError as error:
            return f"{program} could not be run ({error.strerror})"
        except subprocess.TimeoutExpired:
            return f"no end after {_RESET_S:g} s"
        if done.returncode:
            last = done.stdout.strip().splitlines()[-1:]
            return f"exit status {done.returncode}" + "".join(f" ({line})" for line in last)
        return None

    def _name(self) -> str:
        """A name for this group of boards."""
        return "-".join((board.bdf or f"node{board.node}").replace(":", ".") for board in self.detected.boards[:4])
