"""The part of the page about the runs: which documents it is made of, and how many tests passed and failed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tt.ci.report.charts import lines
from pytest_tt.ci.report.rendering import Section, render
from pytest_tt.ci.report.summary import BAD, count_text
from pytest_tt.text import second_text

if TYPE_CHECKING:
    from pytest_tt.ci.report.history import History
    from pytest_tt.results.reading import Document


def runs(history: History) -> Section:
    """A table of the documents, the newest last; with several runs lines of their outcomes too."""
    charts = []
    if len(history.points) > 1:
        names = [point.name for point in history.points]
        outcomes = [Counter(row.outcome for row in point.rows.values()) for point in history.points]
        passed: list[float | None] = [counts["passed"] for counts in outcomes]
        failed: list[float | None] = [sum(counts[outcome] for outcome in BAD) for counts in outcomes]
        charts = [lines("Tests passed", names, passed, _whole), lines("Tests failed", names, failed, _whole)]
    documents = [_facts(document) for point in history.points for document in point.documents]
    return Section("runs", "Runs", render("runs", charts=charts, documents=documents))


def _facts(document: Document) -> dict[str, str]:
    run = document.run
    return {
        "start": f"{run.start:%Y-%m-%d %H:%M}",
        "document": document.path.name,
        "where": " ".join(filter(None, (run.backend, run.system))) or "several",
        "commit": (run.commit or "-")[:9],
        "tests": str(len(document.rows)),
        "duration": second_text(run.duration_s),
        "outcomes": count_text(Counter(row.outcome for row in document.rows.values())),
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items() if version),
    }


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
