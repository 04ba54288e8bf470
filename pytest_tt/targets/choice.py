"""The kinds of target, and which one a run gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.targets.card import CardTarget, missing
from pytest_tt.targets.detection import detect, nodes_directory
from pytest_tt.targets.emulated import EmulatedTarget
from pytest_tt.targets.simulated import SimulatedTarget

if TYPE_CHECKING:
    from pytest_tt.targets.detection import DetectedSystem
    from pytest_tt.targets.target import Request, Target

AUTO = "auto"

KINDS: dict[str, type[Target]] = {kind.name: kind for kind in (SimulatedTarget, EmulatedTarget, CardTarget)}
"""Every kind of target by its name. A new kind is added here; a plugin loaded by ``-p`` can add one too."""


def check_name(name: str) -> str:
    """`name`, if it is AUTO or one of KINDS. Raises ValueError."""
    if name != AUTO and name not in KINDS:
        *names, last = (AUTO, *KINDS)
        raise ValueError(f"{name!r} is not a backend: expected {', '.join(names)} or {last}")
    return name


def choose(request: Request) -> Target:
    """The target for `request`: cards are looked for only where that matters, and never opened.

    Raises ValueError for a kind that there is not, or that this machine does not have.
    """
    if check_name(request.backend) != AUTO:
        return KINDS[request.backend].for_request(request)
    if not nodes_directory().is_dir():
        return SimulatedTarget.because("auto: no card found", request)
    return choose_for(detect(), request)


def choose_for(detected: DetectedSystem, request: Request) -> Target:
    """The chips of `detected`, if there are some that jax would get, else simulated ones."""
    why_not = missing(detected)
    if why_not is not None:
        return SimulatedTarget.because(f"auto: {why_not}", request)
    return CardTarget.because(f"auto: {detected.description} found", detected, request)
