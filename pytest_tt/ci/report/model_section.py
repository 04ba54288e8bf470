"""The part of the page about one model: its tests with their numbers, and each test's details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.report.details import details
from pytest_tt.ci.report.html import Html, element, join
from pytest_tt.ci.report.outcomes import badge
from pytest_tt.ci.report.summary import dram_share, ground_of, mesh_of, mesh_order, share_text, worst_metric
from pytest_tt.ci.report.tables import Section, anchor, numbers, table, test_anchor
from pytest_tt.results.row import rates
from pytest_tt.text import metric_text, rate_text, second_text, short_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.ci.report.history import Current, History
    from pytest_tt.results.row import Row


def model_section(model: str, tests: Sequence[Current], history: History) -> Section:
    """A table of the tests, ordered by ground and mesh, then the details of each."""
    ordered = sorted(tests, key=lambda test: (ground_of(test.row), mesh_order(mesh_of(test.row)), test.key.nodeid))
    facts = [_numbers(test.row) for test in ordered]
    known = [name for name in facts[0] if any(each[name] != "-" for each in facts)]
    rows = [
        element(
            "tr",
            element("th", _link(test), scope="row", class_="together"),
            element("td", test.row.variant or "-"),
            element("td", test.key.where, class_="together"),
            element("td", badge(test.row.outcome)),
            numbers([each[name] for name in known]),
        )
        for test, each in zip(ordered, facts, strict=True)
    ]
    content = join(
        table(f"Tests of {model}", ("Test", "Variant", "On", "Outcome", *known), rows, unseen=True),
        *(details(test, history, test_anchor(test)) for test in ordered),
    )
    return Section(anchor("model", model), model, content)


def _link(test: Current) -> Html:
    name = element("code", test.key.nodeid.rpartition("::")[2])
    return element("a", name, href=f"#{test_anchor(test)}", title=test.key.nodeid)


def _numbers(row: Row) -> dict[str, str]:
    """Column -> text; ``-`` where there is nothing to show."""
    share = dram_share(row)
    return {
        "Worst PCC": metric_text("pcc", worst_metric(row, "pcc")),
        "Worst rel L2": metric_text("rel_l2", worst_metric(row, "rel_l2")),
        "Collectives": "-" if row.collectives is None else str(sum(row.collectives.values())),
        "Bytes per chip": short_bytes(row.bytes_per_chip),
        "Of DRAM": "-" if share is None else share_text(share),
        "Compile": second_text(row.timing["compile_s"]),
        "Run": second_text(row.timing["run_s"]),
        "Rate": ", ".join(rate_text(unit, rate) for unit, rate in rates(row).items()) or "-",
    }
