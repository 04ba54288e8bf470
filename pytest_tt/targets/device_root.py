"""Where the machine's device nodes are; tests point this at a tree of their own."""

from __future__ import annotations

import os
from pathlib import Path

ROOT_VARIABLE = "PYTEST_TT_DEVICE_ROOT"


def device_root(root: Path | None = None) -> Path:
    """`root`, or the directory that PYTEST_TT_DEVICE_ROOT names, or ``/``."""
    return root if root is not None else Path(os.environ.get(ROOT_VARIABLE) or "/")


def nodes_directory(root: Path | None = None) -> Path:
    """Where the driver puts one node for each PCIe device of Tenstorrent."""
    return device_root(root) / "dev/tenstorrent"
