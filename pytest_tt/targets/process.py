"""What this process has of chips.

jax has one platform ``tt`` a process. It keeps the chips open until the process ends, so that a lock cannot be released
before, and simulated chips, once made, stay. All this belongs to the process and not to a run: pytest can be called
twice in one process, and a script can call `open_chips` in a test. It cannot lie in jax's client either: a card must be
held, and chips must be attached, before jax makes one. So it is one object, and only the targets write into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tt.targets.lock import ChipLock
    from pytest_tt.targets.simulated_chips import SimulatedChips
    from pytest_tt.targets.target import Target


@dataclass(slots=True)
class Process:
    """The chips of this process."""

    target: Target | None = None
    """What jax's platform stands for, or will once jax starts; None before any is attached."""
    simulated: SimulatedChips | None = None
    """The simulated chips that jax knows of."""
    problem: str | None = None
    """Why the last try to attach simulated chips failed."""
    lock: ChipLock | None = None
    """The lock that this process holds on its card."""
    lent: bool = False
    """Whether the process that started this one holds the card for it."""


PROCESS = Process()
