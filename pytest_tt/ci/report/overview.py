"""The page's first part: models down, meshes of every backend and system across, and what failed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tt.ci.report.html import Html, element, unseen
from pytest_tt.ci.report.lists import bad_tests
from pytest_tt.ci.report.outcomes import badge, counted, worst
from pytest_tt.ci.report.summary import Summary, ground_of, memory_text, mesh_of, mesh_order, model_of
from pytest_tt.ci.report.tables import Section, anchor, numbers, scrolling, table, test_anchor
from pytest_tt.text import metric_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tt.ci.report.history import Current, History


def by_model(history: History) -> dict[str, list[Current]]:
    """Model -> its tests, models in alphabetical order."""
    models: dict[str, list[Current]] = {}
    for test in sorted(history.current, key=lambda test: model_of(test.row)):
        models.setdefault(model_of(test.row), []).append(test)
    return models


def overview(history: History) -> Section | None:
    """A table of models and meshes; None where there are no tests."""
    if not history.current:
        return None
    places = sorted(
        {(ground_of(test.row), mesh_of(test.row)) for test in history.current},
        key=lambda place: (place[0], mesh_order(place[1])),
    )
    name = "Models and meshes"
    content = element(
        "table",
        element("caption", "Outcomes of each model's tests on each mesh; the numbers are the worst of all"),
        element("thead", _head(places)),
        element("tbody", [_row(model, tests, places) for model, tests in by_model(history).items()]),
        class_="overview",
    )
    return Section("overview", name, scrolling(content, name))


def _head(places: Sequence[tuple[str, str]]) -> list[Html]:
    grounds: Mapping[str, int] = Counter(ground for ground, _ in places)
    names = ("Worst PCC", "Worst rel L2", "Rate", "Bytes per chip")
    return [
        element(
            "tr",
            element("th", "Model", scope="col", rowspan=2),
            [
                element("th", ground, scope="colgroup", colspan=count, class_="middle")
                for ground, count in grounds.items()
            ],
            [element("th", name, scope="col", rowspan=2) for name in names],
        ),
        element("tr", [element("th", mesh, scope="col", class_="middle") for _, mesh in places]),
    ]


def _row(model: str, tests: Sequence[Current], places: Sequence[tuple[str, str]]) -> Html:
    summary = Summary(model, None, tuple(tests))
    texts = (
        metric_text("pcc", summary.worst("pcc")),
        metric_text("rel_l2", summary.worst("rel_l2")),
        summary.rate or "-",
        memory_text(summary.bytes_per_chip, summary.share_of_dram),
    )
    link = element("a", model, href=f"#{anchor('model', model)}")
    return element("tr", element("th", link, scope="row"), [_cell(tests, *place) for place in places], numbers(texts))


def _cell(tests: Sequence[Current], ground: str, mesh: str) -> Html:
    here = [test for test in tests if ground_of(test.row) == ground and mesh_of(test.row) == mesh]
    if not here:
        return element("td", element("span", "·", aria_hidden="true"), unseen("no test"), class_="none")
    outcomes = Counter(test.row.outcome for test in here)
    shown, words = counted(outcomes)
    if all(test.gone for test in here):
        words += ", not in the newest run"
    first = next(test for test in here if test.row.outcome == worst(outcomes))
    link = element("a", shown, unseen(words), href=f"#{test_anchor(first)}", title=words)
    return element("td", link, class_=f"cell {worst(outcomes)}{' old' if all(test.gone for test in here) else ''}")


def failures(history: History) -> Section | None:
    """What failed when it last ran, with the reasons; None where nothing did."""
    rows = [
        element(
            "tr",
            element("th", element("a", element("code", test.key.nodeid), href=f"#{test_anchor(test)}"), scope="row"),
            element("td", test.key.where, class_="together"),
            element("td", badge(test.row.outcome), " in ", test.row.phase, class_="together"),
            element("td", test.row.reason or "no reason given", class_="reason"),
        )
        for test in bad_tests(history)
    ]
    caption = "Tests that failed when they last ran"
    return Section("failures", "Failures", table(caption, ("Test", "On", "Outcome", "Reason"), rows)) if rows else None
