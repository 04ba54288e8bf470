"""All that is known of one test, as a part of the page that opens and closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.ci.report.charts import histogram, lines, metric_lines, use_of_bound
from pytest_tt.ci.report.html import Html, element, join
from pytest_tt.ci.report.mesh_drawing import draw_shardings
from pytest_tt.ci.report.outcomes import badge
from pytest_tt.ci.report.summary import dram_share, share_text, worst_metric
from pytest_tt.ci.report.tables import numbers, scrolling, table
from pytest_tt.results.row import PHASES, rates
from pytest_tt.text import byte_text, metric_text, rate_text, second_text, short_bytes, short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tt.ci.report.history import Current, History
    from pytest_tt.results.row import Row

_NAMES = {
    "pcc": "PCC",
    "rel_l2": "rel L2",
    "max_abs": "max abs",
    "top1": "top-1",
    "top5": "top-5",
    "unequal": "unequal",
}
_ATLEAST = ("pcc", "top1", "top5")


def details(test: Current, history: History, anchor: str) -> Html:
    """The test as a ``details`` element. `anchor` is the id of what it hides: a link there makes browsers open it."""
    row = test.row
    title = element("h4", element("code", row.nodeid), " ", test.key.where)
    parts = (_reason(row), _facts(row), _metrics(row), _shardings(row), _history(test, history))
    return element(
        "details",
        element("summary", title, " ", badge(row.outcome), _when(test)),
        element("div", parts, class_="facts", id=anchor),
        class_="test",
        open=row.outcome in ("failed", "rerun"),
    )


def _when(test: Current) -> Html | None:
    return element("span", f" not in the newest run; last on {test.point.name}", class_="quiet") if test.gone else None


def _reason(row: Row) -> Html | None:
    return element("p", element("strong", "Reason: "), row.reason, class_="reason") if row.reason else None


def _facts(row: Row) -> Html:
    share = dram_share(row)
    memory = byte_text(row.bytes_per_chip) + ("" if share is None else f", {share_text(share)} of the chip's DRAM")
    collectives = ", ".join(f"{count} {kind}" for kind, count in (row.collectives or {}).items()) or "none"
    golden = row.golden
    facts: dict[str, str | None] = {
        "Model": " ".join(filter(None, (row.model, row.variant))) or None,
        "Came to": f"{row.phase} (phase {PHASES.index(row.phase) + 1} of {len(PHASES)})",
        "Golden": f"{golden['file']}, {short_digest(golden['digest'])}" if golden else None,
        "Bytes per chip": memory if row.bytes_per_chip is not None else None,
        "Collectives": collectives if row.collectives is not None else None,
        "Times": ", ".join(
            f"{name} {second_text(row.timing[key])}"
            for name, key in (("trace", "trace_s"), ("compile", "compile_s"), ("run", "run_s"))
            if row.timing[key] is not None
        )
        or None,
        "Rate": ", ".join(rate_text(unit, rate) for unit, rate in rates(row).items()) or None,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return element("dl", [element("div", element("dt", name), element("dd", value)) for name, value in known.items()])


def _metrics(row: Row) -> Html | None:
    if not row.metrics:
        return None
    return join(
        element("h5", "Metrics against their bounds"),
        *(_case(name, case) for name, case in row.metrics.items()),
    )


def _case(name: str, case: Mapping[str, Any]) -> Html:
    leaves: Mapping[str, Mapping[str, Any]] = case.get("leaves") or {}
    if not leaves:
        values = {
            metric: case[metric] for metric in ("pcc", "rel_l2", "max_abs", "top1", "top5") if case[metric] is not None
        }
        leaves = {case["leaf"] or "-": {"values": values, "bounds": {}, "passed": case["verdict"] == "pass"}}
    rows = [cells for leaf, facts in leaves.items() for cells in _leaf(leaf, facts)]
    caption = f"Golden {name!r}: {'agrees' if case['verdict'] == 'pass' else 'differs'}"
    charts = [histogram(leaf, facts["errors"]) for leaf, facts in leaves.items() if facts.get("errors")]
    return join(
        table(caption, ("Output", "Metric", "Value", "Bound", "Of the bound"), rows, kind="metrics"),
        element("div", charts, class_="charts"),
    )


def _leaf(name: str, facts: Mapping[str, Any]) -> list[Html]:
    shape = f" {facts['dtype']}[{', '.join(map(str, facts['shape']))}]" if "shape" in facts else ""
    if "counted" in facts:
        shape += f", {facts['counted']:,} elements counted"
    rows = []
    values = {metric: facts["values"][metric] for metric in _NAMES if metric in facts["values"]}
    for place, (metric, value) in enumerate(values.items()):
        bound = facts["bounds"].get(metric)
        sign = "≥" if metric in _ATLEAST else "≤"
        first = (
            element("th", element("code", name), shape, scope="rowgroup", rowspan=len(values)) if place == 0 else None
        )
        shown = "-" if bound is None else f"{sign} {bound:g}"
        rows.append(
            element(
                "tr",
                first,
                element("td", _NAMES.get(metric, metric)),
                element("td", metric_text(metric, value), class_="number"),
                element("td", shown, class_="number"),
                element("td", use_of_bound(metric, value, bound)),
            )
        )
    return rows


def _shardings(row: Row) -> Html | None:
    if not row.shardings:
        return None
    return join(
        element("h5", "Who holds what"),
        element(
            "p", "Inputs and parameters of the compiled programs. A chip shows the number of the part that it holds."
        ),
        scrolling(draw_shardings(row.shardings), "Shardings"),
    )


def _history(test: Current, history: History) -> Html | None:
    rows = history.rows(test.key)
    if sum(row is not None for row in rows) < 2:
        return None
    names = [point.name for point in history.points]

    def of(metric: str) -> list[float | None]:
        return [None if row is None else worst_metric(row, metric) for row in rows]

    def timing(key: str) -> list[float | None]:
        return [None if row is None else row.timing[key] for row in rows]

    memory: list[float | None] = [None if row is None else row.bytes_per_chip for row in rows]
    charts = (
        metric_lines("Worst PCC", "pcc", names, of("pcc")),
        metric_lines("Worst rel L2", "rel_l2", names, of("rel_l2")),
        lines("Bytes per chip", names, memory, lambda value: short_bytes(None if value is None else int(value))),
        lines("Compile time", names, timing("compile_s"), second_text),
        lines("Run time", names, timing("run_s"), second_text),
    )
    cells = [_history_row(name, row) for name, row in zip(names, rows, strict=True)]
    header = ("Run", "Outcome", "Worst PCC", "Worst rel L2", "Bytes per chip", "Compile", "Run")
    return join(
        element("h5", "History"),
        element("div", charts, class_="charts"),
        table("Every run, the newest last", header, cells),
    )


def _history_row(name: str, row: Row | None) -> Html:
    if row is None:
        return element("tr", element("th", name, scope="row"), element("td", "no row"), numbers(["-"] * 5))
    texts = (
        *(metric_text(metric, worst_metric(row, metric)) for metric in ("pcc", "rel_l2")),
        "-" if row.bytes_per_chip is None else f"{row.bytes_per_chip:,}",
        *(second_text(row.timing[key]) for key in ("compile_s", "run_s")),
    )
    return element("tr", element("th", name, scope="row"), element("td", badge(row.outcome)), numbers(texts))
