"""The text of a comparison, for a terminal of 100 columns."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tt.compare.elements import Misses, Number
    from pytest_tt.compare.leaf import Check, LeafComparison

WIDTH = 100
DETAILED = 3
"""Failing leaves shown in full; the others get one line each."""
PASSING = 12
"""Passing leaves named; more are only counted."""

FOOTER = "If the expected values are out of date, record them again with --tt-golden-update and look at what changed."


def leaf_lines(leaves: tuple[LeafComparison, ...]) -> list[str]:
    """Failing leaves, the worst first and in full, then the passing ones."""
    failing = sorted((leaf for leaf in leaves if not leaf.passed), key=lambda leaf: -leaf.severity)
    passing = [leaf for leaf in leaves if leaf.passed]
    lines = []
    for leaf in failing[:DETAILED]:
        lines += ["", *_leaf(leaf)]
    if failing[DETAILED:]:
        lines += ["", *(line for leaf in failing[DETAILED:] for line in _short(leaf, "FAIL"))]
    if passing:
        lines += ["", *(line for leaf in passing[:PASSING] for line in _short(leaf, "ok  "))]
        if passing[PASSING:]:
            lines.append(f"ok    and {len(passing) - PASSING} more leaves")
    return lines


def name_lines(missing: tuple[str, ...], unexpected: tuple[str, ...]) -> list[str]:
    """Every leaf that is missing, and every one that was not expected."""
    lines = [""] if missing or unexpected else []
    for label, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            lines += wrap(f"{label} ({len(names)}): {', '.join(names)}", "  ")
    return lines


def footer_lines(footer: str | None) -> list[str]:
    """How to update; an indented line is a command, kept whole so that it can be copied."""
    lines = []
    for line in (FOOTER if footer is None else footer).splitlines():
        lines += [line] if line.startswith("  ") else wrap(line, "  ")
    return lines


def _leaf(leaf: LeafComparison) -> list[str]:
    lines = wrap(f"FAIL  {leaf.name}  {_kind(leaf)}", "      ")
    if leaf.problem:
        lines += wrap(f"      {leaf.problem}", "        ")
    for check in leaf.checks:
        lines += wrap(_check(check, partial=leaf.problem is not None), " " * 42)
    if leaf.misses:
        lines += _misses(leaf.misses)
    for hint in leaf.hints:
        lines += wrap(f"      hint: {hint}", " " * 12)
    return lines


def _kind(leaf: LeafComparison) -> str:
    text = f"{leaf.dtype} {_shape(leaf.shape)}"
    if leaf.dtype.startswith("complex"):
        text += " with a last axis of (real, imaginary)"
    if leaf.expected_dtype != leaf.dtype:
        text += f", expected in {leaf.expected_dtype}"
    if leaf.counted is not None:
        text += f", {leaf.counted:,} of {math.prod(leaf.shape):,} elements counted"
    return text


def _check(check: Check, *, partial: bool) -> str:
    mark = "    " if check.bound is None else ("pass" if check.passed else "FAIL")
    bound = "-"
    if check.bound is not None:
        bound = f"{'>=' if check.metric in ('pcc', 'top1', 'top5') else '<='} {check.bound:.6g}"
    value = _value(check)
    if partial:
        value += "*"
    note = "* of the finite elements only" if partial and check.metric == "rel_l2" else check.note
    return f"      {mark}  {check.metric:<7} {value:<12} {bound:<11}  {note}".rstrip()


def _value(check: Check) -> str:
    """A value beyond its bound is never rounded to the bound."""
    if check.value is None:
        return "-"
    text = f"{check.value:.8f}" if check.metric == "pcc" else f"{check.value:.6g}"
    if check.bound is not None and not check.passed and float(text) == check.bound:
        return repr(check.value)
    return text


def _misses(misses: Misses) -> list[str]:
    share = 100.0 * misses.count / misses.size
    percent = f"{share:.3g}" if share < 99.95 or misses.count == misses.size else "99.9"
    rule = "not equal" if misses.rule == "not equal" else f"off: {misses.rule}"
    lines = wrap(f"      {misses.count:,} of {misses.size:,} elements ({percent}%) are {rule}", " " * 8)
    if not misses.worst:
        return lines
    table = [("index", "actual", "expected", "difference")]
    for element in misses.worst:
        table.append(
            (
                _shape(element.index),
                _number(element.actual),
                _number(element.expected),
                f"{element.difference:.4g}",
            )
        )
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for row in table:
        cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3))]
        lines.append("        " + "  ".join(cells))
    return lines


def _number(value: Number) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ")"


def _short(leaf: LeafComparison, mark: str) -> list[str]:
    facts = leaf.problem or ", ".join(
        f"{check.metric} {_value(check)}" for check in leaf.checks if check.value is not None
    )
    return wrap(f"{mark}  {leaf.name}  {_kind(leaf)}  {facts}", "      ")


def wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]
