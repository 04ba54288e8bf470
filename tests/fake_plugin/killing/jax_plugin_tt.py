"""Fake pjrt-plugin-tt, for tests only: like the native plugin on a machine without a card, it aborts."""

from __future__ import annotations

import os


def initialize() -> None:
    """Called by jax when it discovers plugins."""
    os.abort()
