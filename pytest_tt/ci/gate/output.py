"""The gate's findings as lines, as Markdown and as GitHub annotations."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_tt.ci.gate.comparing import BETTER, NEW, REGRESSION, STILL
from pytest_tt.ci.report.github import annotation
from pytest_tt.ci.report.markdown import code, plain, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.ci.gate.comparing import Finding

# What closes the gate comes last in a terminal, next to the verdict, and first in Markdown.
_ORDER = (NEW, STILL, BETTER, REGRESSION)
_LABELS = {REGRESSION: "REGRESSION", BETTER: "better", NEW: "new", STILL: "still failing"}
_TITLES = {REGRESSION: "Regressions", BETTER: "Better", NEW: "New tests", STILL: "Still failing"}


def lines(findings: Sequence[Finding]) -> list[str]:
    """A line a finding: kind, test, quantity, before -> now, rule."""
    ranked = sorted(findings, key=lambda finding: _ORDER.index(finding.kind))
    return [f"{_LABELS[finding.kind]:13} {_text(finding)}" for finding in ranked]


def _text(finding: Finding) -> str:
    rule = " ".join(finding.rule.split())
    return f"{finding.key}: {finding.quantity}: {finding.before} -> {finding.after} ({rule})"


def verdict(findings: Sequence[Finding], compared: int) -> str:
    """The last line: how many of what, and whether the gate is open."""
    counts = Counter(finding.kind for finding in findings)
    tests = len({finding.key for finding in findings if finding.kind == REGRESSION})
    regressions = (
        f"{_number(counts[REGRESSION], 'regression')} in {_number(tests, 'test')}" if tests else "no regression"
    )
    rest = "".join(f", {counts[kind]} {_LABELS[kind]}" for kind in (BETTER, NEW, STILL) if counts[kind])
    return f"gate {'closed' if tests else 'open'}: {regressions}{rest}; {_number(compared, 'test')} compared"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def markdown(findings: Sequence[Finding], compared: int, sources: str) -> str:
    """A heading with the verdict, and a table for each kind of finding."""
    closed = any(finding.kind == REGRESSION for finding in findings)
    text = f"## {'❌' if closed else '✅'} {plain(verdict(findings, compared))}\n\n{plain(sources)}\n"
    for kind in reversed(_ORDER):
        of_kind = [finding for finding in findings if finding.kind == kind]
        if of_kind:
            header = ("Test", "On", "Quantity", "Baseline", "Now", "Rule")
            text += f"\n### {_TITLES[kind]}\n\n{table(header, map(_cells, of_kind))}"
    return text


def _cells(finding: Finding) -> tuple[str, ...]:
    texts = (finding.key.where, finding.quantity, finding.before, finding.after, finding.rule)
    return (code(finding.key.nodeid), *map(plain, texts))


def annotation_lines(findings: Sequence[Finding]) -> list[str]:
    """A GitHub error for each regression."""
    return [
        annotation("error", finding.key, f"Regression: {finding.quantity}", _text(finding))
        for finding in findings
        if finding.kind == REGRESSION
    ]
