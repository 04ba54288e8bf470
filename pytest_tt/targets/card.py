"""Tenstorrent chips through a plugin for jax: is there one, and what to do before jax starts.

Nothing here imports it: its native part opens every chip, and aborts the process where there is none.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from pytest_tt.targets import provider
from pytest_tt.targets.detection import UNKNOWN, VISIBLE_VARIABLE, is_bdf_pattern
from pytest_tt.targets.systems import SYSTEMS

if TYPE_CHECKING:
    from pytest_tt.targets.detection import Box

# Whether this process is to run on real chips.
_prepared = False
_INSTALL = 'pip install "pytest-tt[tt]" (the wheel needs Python 3.12)'


def choose(requested: str, box: Box) -> tuple[str, str]:
    """The backend for `requested` (auto, sim or hw) on `box`, and why.

    Of ``hw`` that names the plugin: ``"auto: n300 (2 chips) found, jax-tt-plugin 0.1.3"``. Raises ValueError where
    ``hw`` is requested and cannot be: jax would abort the process, or not know the platform.
    """
    if requested == "sim":
        return "sim", "requested"
    if requested == "hw":
        if not box.chips:
            raise ValueError(
                f"backend hw: {box.description} found: expected device nodes below /dev/tenstorrent; load "
                "the driver (tt-kmd), pass the devices into the container, or use --tt-backend sim"
            )
        found = provider.find_providers()
        if not found:
            raise ValueError(
                f"backend hw: {box.description} found but {_what_is_missing()}: {_INSTALL}, or use --tt-backend sim"
            )
        return "hw", f"requested, {provider.names(found)}"
    if requested != "auto":
        raise ValueError(f"{requested!r} is not a backend: expected auto, sim or hw")
    if not box.chips:
        return "sim", f"auto: {box.description} found"
    found = provider.find_providers()
    if not found:
        return "sim", f"auto: {box.description} found but {_what_is_missing()}"
    return "hw", f"auto: {box.description} found, {provider.names(found)}"


def expected_system(box: Box, name: str) -> None:
    """Raise ValueError unless `box` is the system called `name`: tests would run on chips not meant."""
    if box.system == name:
        return
    chips = SYSTEMS[name].chips
    wanted = f"{name} ({chips} chip{'s' if chips > 1 else ''})"
    if any(board.card == UNKNOWN for board in box.boards):
        hint = "the driver does not tell the card's type; update tt-kmd and firmware, or leave the system out"
    else:
        hint = f"name {box.system}, or leave the system out" if box.system else "leave the system out"
    raise ValueError(f"system {wanted} expected, but this machine has {box.description}: {hint}")


def prepare(box: Box) -> None:
    """What must happen before jax starts its backends on the chips of `box`.

    Integers in TT_VISIBLE_DEVICES become PCI addresses, because every one but 0 is refused further down
    (tt-xla#5521); flax.linen is imported, because TT's plugin marks the weights of its modules only if it is
    there first.
    """
    global _prepared
    _prepared = True
    visible = os.environ.get(VISIBLE_VARIABLE)
    if visible is not None:
        os.environ[VISIBLE_VARIABLE] = visible_addresses(visible, box)
    if provider.findable("flax"):
        importlib.import_module("flax.linen")


def prepared() -> bool:
    """Whether jax is to start on real chips in this process, or has."""
    return _prepared


def visible_addresses(visible: str, box: Box) -> str:
    """`visible` of TT_VISIBLE_DEVICES with the PCI addresses of `box` in the place of indices, where they are known."""
    tokens = [token.strip() for token in visible.split(",")]
    addresses = [board.bdf for board in box.boards if board.bdf is not None]
    if any(token and not is_bdf_pattern(token) for token in tokens) and len(addresses) == len(box.boards):
        return ",".join(addresses)
    return visible


def _what_is_missing() -> str:
    """Why jax would not get a ``tt`` platform, where it would not."""
    for name, version in provider.known_distributions():
        return f"{name} {version} is broken (no importable entry point in group {provider.GROUP})"
    return f"{provider.OFFICIAL} is not installed"
