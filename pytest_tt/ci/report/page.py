"""The report as one HTML page: no script, nothing loaded from anywhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from pytest_tt.ci.report.html import Html, element, join
from pytest_tt.ci.report.lists import bad_tests, total
from pytest_tt.ci.report.model_section import model_section
from pytest_tt.ci.report.outcomes import MEANINGS, SYMBOLS, worst
from pytest_tt.ci.report.overview import by_model, failures, overview
from pytest_tt.ci.report.runs import runs
from pytest_tt.ci.report.summary import Summary

if TYPE_CHECKING:
    from pytest_tt.ci.report.history import History
    from pytest_tt.ci.report.tables import Section

# The page needs nothing but itself, and may not ask for more.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(history: History) -> str:
    """The whole page."""
    models = [model_section(model, tests, history) for model, tests in by_model(history).items()]
    found = [overview(history), failures(history), *models, runs(history)]
    sections = [section for section in found if section is not None]
    return "<!DOCTYPE html>\n" + element("html", _head(history), _body(history, sections), lang="en") + "\n"


def _head(history: History) -> Html:
    style = files("pytest_tt.ci.report").joinpath("page.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("title", f"{total(history)} - pytest-tt"),
        element("style", Html(style)),
    )


def _body(history: History, sections: list[Section]) -> Html:
    links = [element("li", element("a", section.name, href=f"#{section.anchor}")) for section in sections]
    parts = [
        element(
            "section",
            element("h2", section.name, id=section.anchor),
            section.content,
            aria_labelledby=section.anchor,
        )
        for section in sections
    ]
    return element(
        "body",
        element("a", "Skip to the results", href="#results", class_="skip"),
        element("header", element("h1", "pytest-tt results"), element("p", _headline(history), class_="headline")),
        element("nav", element("ul", links), aria_label="Sections"),
        element("main", parts, id="results", tabindex=-1),
        element("footer", _legend()),
    )


def _headline(history: History) -> Html:
    outcomes = Summary("", None, history.current).outcomes
    newest = history.points[-1]
    count = len(history.points)
    state = worst(outcomes) if bad_tests(history) or not outcomes["passed"] else "passed"
    return join(
        element("strong", total(history), class_=f"state {state}"),
        f" Newest run {newest.start:%Y-%m-%d %H:%M} UTC",
        (", commit ", element("code", newest.commit[:9])) if newest.commit else None,
        f", {count} runs" if count > 1 else None,
    )


def _legend() -> Html:
    items = [
        element("li", element("span", symbol, class_=f"badge {outcome}", aria_hidden="true"), f" {MEANINGS[outcome]}")
        for outcome, symbol in SYMBOLS.items()
        if outcome != "rerun"
    ]
    old = element("li", element("span", "✓", class_="badge passed old", aria_hidden="true"), " not in the newest run")
    return join(element("h2", "Symbols"), element("ul", items, old, class_="legend"))
