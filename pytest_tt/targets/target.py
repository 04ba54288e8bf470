"""What a pytest run executes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ground:
    """Simulated chips or a real box, and why."""

    backend: str
    """``sim`` or ``hw``."""
    why: str
    """Where the choice came from, e.g. ``--tt-backend`` or ``auto: no card found``."""
    system: str | None
    """Name of the simulated or the real box; None for simulated chips of no particular box."""
    chips: int | None
    """Chips of that box; None where any number can be simulated."""
    description: str
    """The box in words, e.g. ``n300 (2 chips)``."""
