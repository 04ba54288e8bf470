"""How the page shows outcomes: by a symbol and a word, and by colour beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.report.html import Html, element
from pytest_tt.ci.report.summary import SEVERITY, count_text

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


def badge(outcome: str) -> Html:
    """Symbol and word of an outcome."""
    symbol = element("span", SYMBOLS[outcome], aria_hidden="true")
    return element("span", symbol, " ", outcome, class_=f"badge {outcome}")


def worst(outcomes: Counter[str]) -> str:
    """The outcome that stands for several tests: the worst; for none of them ``skipped``, as nothing was shown."""
    return next((outcome for outcome in SEVERITY if outcomes[outcome]), "skipped")


def counted(outcomes: Counter[str]) -> tuple[Html, str]:
    """Symbols and counts of several outcomes, the worst first, and the same in words."""
    shown = "  ".join(f"{SYMBOLS[outcome]} {outcomes[outcome]}" for outcome in SEVERITY if outcomes[outcome])
    return element("span", shown, aria_hidden="true"), count_text(outcomes)
