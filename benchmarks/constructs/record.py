"""Where the verdicts are recorded, and what came of executing the programs."""

from __future__ import annotations

from pathlib import Path

RECORD = Path(__file__).with_name("recorded.json")
EMULATED = Path(__file__).with_name("emulated.json")
