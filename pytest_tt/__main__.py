"""`python -m pytest_tt` is the command `pytest-tt`."""

from __future__ import annotations

import sys

from pytest_tt.cli import main

if __name__ == "__main__":
    sys.exit(main())
