"""All that is known of one test, as a part of the page that opens and closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_tt.ci.report.charts import histogram, lines, metric_lines, use_of_bound
from pytest_tt.ci.report.mesh_drawing import draw_placements
from pytest_tt.ci.report.rendering import render
from pytest_tt.ci.report.summary import dram_share, share_text, worst_metric
from pytest_tt.results.arrays import placements_of
from pytest_tt.results.card import emulated_programs, system_of_program, total
from pytest_tt.results.row import PHASES, rates
from pytest_tt.text import byte_text, metric_text, rate_text, second_text, short_bytes, short_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

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


def details(test: Current, history: History, anchor: str) -> Markup:
    """The test as a ``details`` element. `anchor` is the id of what it hides: a link there makes browsers open it."""
    row = test.row
    placements = placements_of(row)
    names, rows = [point.name for point in history.points], history.rows(test.key)
    several = sum(each is not None for each in rows) > 1
    return render(
        "details",
        anchor=anchor,
        row=row,
        where=test.key.where,
        opened=row.outcome in ("failed", "rerun"),
        last=test.point.name if test.gone else "",
        facts=_facts(row),
        cases=[_case(name, case) for name, case in row.metrics.items()],
        placements=draw_placements(placements) if placements else "",
        history=[_history_facts(name, each) for name, each in zip(names, rows, strict=True)] if several else [],
        charts=_charts(names, rows) if several else [],
    )


def _facts(row: Row) -> dict[str, str]:
    """Name -> value of what is known of the test."""
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
        **_card_facts(row),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _card_facts(row: Row) -> dict[str, str | None]:
    """For each system what TT's compiler makes of the test's programs."""
    if row.card is None:
        return {}
    lines: dict[str, list[str]] = {}
    for entry in row.card["programs"]:
        lines.setdefault(system_of_program(row.card, entry) or "a card", []).append(_card_line(entry))
    facts: dict[str, str | None] = {f"Compiled for {system}": "; ".join(each) for system, each in lines.items()}
    for system, reason in row.card.get("not_compiled", {}).items():
        facts[f"Not compiled for {system}"] = reason
    for system in dict.fromkeys(entry["system"] for entry in emulated_programs(row.card)):
        shown = [_emulated_line(entry) for entry in emulated_programs(row.card) if entry["system"] == system]
        facts[f"Emulated on {system}"] = "; ".join(shown)
    return facts


def _emulated_line(entry: Mapping[str, Any]) -> str:
    if entry["not_compared"] is not None or not entry["calls"]:
        return f"{entry['name']}: {entry['not_compared'] or 'not called'}"
    exact, rel_l2, pcc = (
        metric_text(metric, entry[key])
        for metric, key in (("rel_l2", "exact_rel_l2"), ("rel_l2", "rel_l2"), ("pcc", "pcc"))
    )
    dearest = ", ".join(f"{each['op']} at {each['place'] or '-'}" for each in entry.get("dearest", ()))
    cost = f", most accuracy lost by {dearest}" if dearest else ""
    return f"{entry['name']}: without rounding rel L2 {exact}; {entry['numerics']}: PCC {pcc}, rel L2 {rel_l2}{cost}"


def _card_line(entry: Mapping[str, Any]) -> str:
    if not entry["ok"]:
        return f"{entry['name']}: {entry['error']}"
    collectives = ", ".join(f"{count} {kind}" for kind, count in (entry["collectives"] or {}).items())
    parts = [f"{total(entry['ops']) or 0:,} ops", collectives, f"{short_bytes(entry['dram_peak_bytes'])} of DRAM"]
    if entry["roofline_s"] is not None:
        parts.append(f"at best {second_text(entry['roofline_s'])}")
    error = f": {entry['error']}" if entry["error"] else ""
    return f"{entry['name']}: {', '.join(filter(None, parts))}{error}"


def _case(name: str, case: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a golden case."""
    leaves: Mapping[str, Mapping[str, Any]] = case.get("leaves") or {}
    if not leaves:
        values = {
            metric: case[metric] for metric in ("pcc", "rel_l2", "max_abs", "top1", "top5") if case[metric] is not None
        }
        leaves = {case["leaf"] or "-": {"values": values, "bounds": {}, "passed": case["verdict"] == "pass"}}
    return {
        "name": repr(name),
        "verdict": "agrees" if case["verdict"] == "pass" else "differs",
        "leaves": [_leaf(leaf, facts) for leaf, facts in leaves.items()],
        "charts": [histogram(leaf, facts["errors"]) for leaf, facts in leaves.items() if facts.get("errors")],
    }


def _leaf(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    about = f" {facts['dtype']}[{', '.join(map(str, facts['shape']))}]" if "shape" in facts else ""
    if "counted" in facts:
        about += f", {facts['counted']:,} elements counted"
    metrics = []
    for metric, label in _NAMES.items():
        if metric in facts["values"]:
            value, bound = facts["values"][metric], facts["bounds"].get(metric)
            sign = "≥" if metric in _ATLEAST else "≤"
            shown = "-" if bound is None else f"{sign} {bound:g}"
            use = use_of_bound(metric, value, bound)
            metrics.append({"name": label, "value": metric_text(metric, value), "bound": shown, "use": use})
    return {"name": name, "about": about, "metrics": metrics}


def _charts(names: Sequence[str], rows: Sequence[Row | None]) -> list[Markup]:
    """How the numbers of a test went over the runs."""

    def of(metric: str) -> list[float | None]:
        return [None if row is None else worst_metric(row, metric) for row in rows]

    def timing(key: str) -> list[float | None]:
        return [None if row is None else row.timing[key] for row in rows]

    memory: list[float | None] = [None if row is None else row.bytes_per_chip for row in rows]
    return [
        metric_lines("Worst PCC", "pcc", names, of("pcc")),
        metric_lines("Worst rel L2", "rel_l2", names, of("rel_l2")),
        lines("Bytes per chip", names, memory, lambda value: short_bytes(None if value is None else int(value))),
        lines("Compile time", names, timing("compile_s"), second_text),
        lines("Run time", names, timing("run_s"), second_text),
    ]


def _history_facts(name: str, row: Row | None) -> dict[str, Any]:
    if row is None:
        return {"name": name, "outcome": "", "numbers": ["-"] * 5}
    numbers = (
        *(metric_text(metric, worst_metric(row, metric)) for metric in ("pcc", "rel_l2")),
        "-" if row.bytes_per_chip is None else f"{row.bytes_per_chip:,}",
        *(second_text(row.timing[key]) for key in ("compile_s", "run_s")),
    )
    return {"name": name, "outcome": row.outcome, "numbers": numbers}
