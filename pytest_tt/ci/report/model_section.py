"""The part of the page about one model: its tests with their numbers, and each test's details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.report.details import details
from pytest_tt.ci.report.rendering import Section, anchor, render, test_anchor
from pytest_tt.ci.report.summary import dram_share, mesh_of, mesh_order, share_text, system_of, worst_metric
from pytest_tt.results.row import rates
from pytest_tt.text import metric_text, rate_text, second_text, short_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.ci.report.history import Current, History
    from pytest_tt.results.row import Row


def model_section(model: str, tests: Sequence[Current], history: History) -> Section:
    """A table of the tests, ordered by system and mesh, then the details of each."""
    ordered = sorted(tests, key=lambda test: (system_of(test.row), mesh_order(mesh_of(test.row)), test.key.nodeid))
    facts = [_numbers(test.row) for test in ordered]
    known = [name for name in facts[0] if any(each[name] != "-" for each in facts)]
    shown = [
        {
            "anchor": test_anchor(test),
            "nodeid": test.key.nodeid,
            "name": test.key.nodeid.rpartition("::")[2],
            "variant": test.row.variant,
            "where": test.key.where,
            "outcome": test.row.outcome,
            "numbers": [each[name] for name in known],
        }
        for test, each in zip(ordered, facts, strict=True)
    ]
    content = render(
        "model",
        model=model,
        header=("Test", "Variant", "On", "Outcome", *known),
        tests=shown,
        details=[details(test, history, test_anchor(test)) for test in ordered],
    )
    return Section(anchor("model", model), model, content)


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
