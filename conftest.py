"""The project's own test run.

The plugin itself comes by its entry point, or by `-p pytest_tt` where it is not installed.
"""

from __future__ import annotations

pytest_plugins = ["pytester"]
