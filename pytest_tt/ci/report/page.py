"""The report as one HTML page: no script, nothing loaded from anywhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from pytest_tt.ci.report.cards import cards
from pytest_tt.ci.report.emulated import emulated
from pytest_tt.ci.report.lists import bad_tests, total
from pytest_tt.ci.report.model_section import model_section
from pytest_tt.ci.report.overview import by_model, failures, overview
from pytest_tt.ci.report.rendering import render
from pytest_tt.ci.report.runs import runs
from pytest_tt.ci.report.summary import Summary, worst_outcome

if TYPE_CHECKING:
    from pytest_tt.ci.report.history import History


def page(history: History) -> str:
    """The whole page."""
    models = [model_section(model, tests, history) for model, tests in by_model(history).items()]
    found = [overview(history), failures(history), cards(history), emulated(history), *models, runs(history)]
    outcomes = Summary("", None, history.current).outcomes
    newest = history.points[-1]
    text = render(
        "page",
        total=total(history),
        style=Markup(files("pytest_tt.ci.report").joinpath("page.css").read_text(encoding="utf-8")),
        state=worst_outcome(outcomes) if bad_tests(history) or not outcomes["passed"] else "passed",
        start=f"{newest.start:%Y-%m-%d %H:%M}",
        commit=newest.commit and newest.commit[:9],
        runs=len(history.points),
        sections=[section for section in found if section is not None],
    )
    return f"{text}\n"
