"""Where the verdicts are recorded."""

from __future__ import annotations

from pathlib import Path

RECORD = Path(__file__).with_name("recorded.json")
