"""How the page shows outcomes: by a symbol and a word, and by colour beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.report.summary import SEVERITY

if TYPE_CHECKING:
    from collections import Counter

SYMBOLS = {"passed": "✓", "failed": "✗", "rerun": "✗", "skipped": "○", "xfailed": "△", "xpassed": "▲"}
MEANINGS = {
    "passed": "passed",
    "failed": "failed",
    "rerun": "died in a rerun",
    "skipped": "did not run",
    "xfailed": "failed, as expected",
    "xpassed": "passed, though expected to fail",
}


def worst(outcomes: Counter[str]) -> str:
    """The outcome that stands for several tests: the worst; for none of them ``skipped``, as nothing was shown."""
    return next((outcome for outcome in SEVERITY if outcomes[outcome]), "skipped")


def counted(outcomes: Counter[str]) -> str:
    """Symbols and counts of several outcomes, the worst first."""
    return "  ".join(f"{SYMBOLS[outcome]} {outcomes[outcome]}" for outcome in SEVERITY if outcomes[outcome])
