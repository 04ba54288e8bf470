"""The gate's changes as lines, as Markdown and as GitHub annotations."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tt.ci.gate.changes import BETTER, NEW, REGRESSION, STILL
from pytest_tt.ci.report.github import annotation, code, markdown_table, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.ci.gate.changes import Change

# What closes the gate comes last in a terminal, next to the verdict, and first in Markdown.
_ORDER = (NEW, STILL, BETTER, REGRESSION)
_LABELS = {REGRESSION: "REGRESSION", BETTER: "better", NEW: "new", STILL: "still failing"}
_TITLES = {REGRESSION: "Regressions", BETTER: "Better", NEW: "New tests", STILL: "Still failing"}


def lines(changes: Sequence[Change]) -> list[str]:
    """A line a change: kind, test, quantity, before -> now, rule."""
    ranked = sorted(changes, key=lambda change: _ORDER.index(change.kind))
    return [f"{_LABELS[change.kind]:13} {_text(change)}" for change in ranked]


def _text(change: Change) -> str:
    rule = " ".join(change.rule.split())
    return f"{change.key}: {change.quantity}: {change.before} -> {change.after} ({rule})"


def verdict(changes: Sequence[Change], compared: int) -> str:
    """The last line: how many of what, and whether the gate is open."""
    counts = Counter(change.kind for change in changes)
    tests = len({change.key for change in changes if change.kind == REGRESSION})
    regressions = (
        f"{_number(counts[REGRESSION], 'regression')} in {_number(tests, 'test')}" if tests else "no regression"
    )
    rest = "".join(f", {counts[kind]} {_LABELS[kind]}" for kind in (BETTER, NEW, STILL) if counts[kind])
    return f"gate {'closed' if tests else 'open'}: {regressions}{rest}; {_number(compared, 'test')} compared"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def markdown(changes: Sequence[Change], compared: int, sources: str) -> str:
    """A heading with the verdict, and a table for each kind of change."""
    closed = any(change.kind == REGRESSION for change in changes)
    text = f"## {'❌' if closed else '✅'} {plain(verdict(changes, compared))}\n\n{plain(sources)}\n"
    for kind in reversed(_ORDER):
        of_kind = [change for change in changes if change.kind == kind]
        if of_kind:
            header = ("Test", "On", "Quantity", "Baseline", "Now", "Rule")
            text += f"\n### {_TITLES[kind]}\n\n{markdown_table(header, map(_cells, of_kind))}"
    return text


def _cells(change: Change) -> tuple[str, ...]:
    texts = (change.key.where, change.quantity, change.before, change.after, change.rule)
    return (code(change.key.nodeid), *map(plain, texts))


def annotation_lines(changes: Sequence[Change]) -> list[str]:
    """A GitHub error for each regression."""
    return [
        annotation("error", change.key, f"Regression: {change.quantity}", _text(change))
        for change in changes
        if change.kind == REGRESSION
    ]
