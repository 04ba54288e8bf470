"""The part of the page about the runs: which documents it is made of, and how many tests passed and failed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tt.ci.report.charts import lines
from pytest_tt.ci.report.html import Html, element, join
from pytest_tt.ci.report.summary import BAD, count_text
from pytest_tt.ci.report.tables import Section, numbers, table
from pytest_tt.text import second_text

if TYPE_CHECKING:
    from pytest_tt.ci.report.history import History
    from pytest_tt.results.reading import Document

_HEADER = ("Start (UTC)", "Document", "On", "Commit", "Tests", "Duration", "Outcomes", "Versions")


def runs(history: History) -> Section:
    """A table of the documents, the newest last; with several runs lines of their outcomes too."""
    rows = [_row(document) for point in history.points for document in point.documents]
    charts = None
    if len(history.points) > 1:
        names = [point.name for point in history.points]
        outcomes = [Counter(row.outcome for row in point.rows.values()) for point in history.points]
        passed: list[float | None] = [counts["passed"] for counts in outcomes]
        failed: list[float | None] = [sum(counts[outcome] for outcome in BAD) for counts in outcomes]
        drawn = lines("Tests passed", names, passed, _whole), lines("Tests failed", names, failed, _whole)
        charts = element("div", drawn, class_="charts")
    return Section("runs", "Runs", join(charts, table("Documents of this report, the newest last", _HEADER, rows)))


def _row(document: Document) -> Html:
    run = document.run
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items() if version)
    return element(
        "tr",
        element("th", f"{run.start:%Y-%m-%d %H:%M}", scope="row", class_="together"),
        element("td", document.path.name),
        element("td", " ".join(filter(None, (run.backend, run.system))) or "several"),
        element("td", element("code", (run.commit or "-")[:9])),
        numbers([str(len(document.rows)), second_text(run.duration_s)]),
        element("td", count_text(Counter(row.outcome for row in document.rows.values()))),
        element("td", versions),
    )


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
