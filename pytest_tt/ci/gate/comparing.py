"""What is worse than in the baseline, what is better, and what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.text import byte_text, pair, second_text, short_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_tt.ci.gate.rules import Rules, RuleSet
    from pytest_tt.results.reading import Key
    from pytest_tt.results.row import Row

REGRESSION, BETTER, NEW, STILL = "regression", "better", "new", "still failing"

# What a test that is known not to work, or that did not run, shows nothing about.
_UNCHECKED = ("skipped", "xfailed")
_PASSED = ("passed", "xpassed")

# Collectives of a kind that a row does not name: none of them.
_NONE = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the gate has to say of a test. rule: the tolerance that was broken, or why it counts."""

    kind: str
    key: Key
    quantity: str
    before: str
    after: str
    rule: str


@dataclass(frozen=True, slots=True)
class Change:
    """A quantity of a test in the baseline and now, as numbers and as texts."""

    quantity: str
    before: float
    after: float
    shown: tuple[str, str]


def compare_rows(baseline: Mapping[Key, Row], current: Mapping[Key, Row], rules: RuleSet) -> Iterator[Finding]:
    """Findings in the order of `current`, then what is missing of `baseline`."""
    for key, row in current.items():
        yield from _compare(key, baseline.get(key), row, rules.of(key.backend))
    for key, row in baseline.items():
        if key not in current and rules.of(key.backend).missing:
            yield Finding(REGRESSION, key, "row", row.outcome, "missing", "every test of the baseline must have a row")


def _compare(key: Key, before: Row | None, after: Row, rules: Rules) -> Iterator[Finding]:
    failing = after.outcome not in (*_PASSED, *_UNCHECKED)
    reason = f"{_why(after)}, in {after.phase}"
    if before is None:
        kind = REGRESSION if failing else NEW
        yield Finding(kind, key, "outcome", "not in the baseline", after.outcome, reason if failing else "a new test")
    elif failing:
        known = before.outcome not in (*_PASSED, *_UNCHECKED)
        yield Finding(STILL if known else REGRESSION, key, "outcome", before.outcome, after.outcome, reason)
    elif after.outcome in _UNCHECKED:
        if before.outcome in _PASSED and rules.skipped:
            yield Finding(
                REGRESSION, key, "outcome", before.outcome, after.outcome, f"no longer checked: {_why(after)}"
            )
    elif before.outcome not in _PASSED:
        yield Finding(BETTER, key, "outcome", before.outcome, after.outcome, "works now")
    else:
        yield from _compare_passed(key, before, after, rules)


def _why(row: Row) -> str:
    return row.reason or "no reason given"


def _compare_passed(key: Key, before: Row, after: Row, rules: Rules) -> Iterator[Finding]:
    """Every quantity of a test that passed then and now."""

    def tell(kind: str, change: Change, rule: str) -> Finding:
        return Finding(kind, key, change.quantity, *change.shown, rule)

    if rules.golden:
        yield from _goldens(key, before, after)
    if rules.missing:
        for quantity in _lost(before, after):
            yield Finding(REGRESSION, key, quantity, "known", "missing", "what the baseline has must be there")
    for metric, drop in (("pcc", rules.pcc_drop), ("top1", rules.top_drop), ("top5", rules.top_drop)):
        for change in _metric(metric, before, after):
            lost = change.before - change.after
            if drop is not None and abs(lost) > drop:
                yield tell(REGRESSION, change, f"may fall by {drop:g}") if lost > 0 else tell(BETTER, change, "risen")
    for change in _metric("rel_l2", before, after):
        yield from _grown(change, rules.rel_l2_ratio, rules.rel_l2_floor, "", tell)
    for change in _collectives(before, after):
        more = change.after - change.before
        if rules.collectives is not None and (more > rules.collectives or more < 0):
            allowed = f"{rules.collectives} more allowed"
            yield tell(REGRESSION, change, allowed) if more > 0 else tell(BETTER, change, "fewer")
    for change in _bytes(before, after):
        yield from _grown(change, rules.bytes_ratio, None, "", tell)
    for name, ratio, floor in (
        ("compile_s", rules.compile_ratio, rules.compile_floor_s),
        ("run_s", rules.run_ratio, rules.run_floor_s),
    ):
        for change in _time(name, before, after):
            yield from _grown(change, ratio, floor, " s", tell)


def _grown(
    change: Change, ratio: float | None, floor: float | None, unit: str, tell: Callable[[str, Change, str], Finding]
) -> Iterator[Finding]:
    """Worse where a quantity grew by more than `floor` to more than `ratio` times; better where it shrank so."""
    if ratio is None or abs(change.after - change.before) <= (floor or 0.0):
        return
    rule = f"may grow to {ratio:g} times" + (f" or by {floor:g}{unit}" if floor else "")
    if change.after > ratio * change.before:
        yield tell(REGRESSION, change, rule)
    elif change.before > ratio * change.after:
        yield tell(BETTER, change, "less")


def _goldens(key: Key, before: Row, after: Row) -> Iterator[Finding]:
    then, now = _digests(before), _digests(after)
    for name, digest in then.items():
        if name in now and now[name] != digest:
            shown = short_digest(digest), short_digest(now[name])
            yield Finding(REGRESSION, key, name, *shown, "other numbers are compared than before")


def _digests(row: Row) -> dict[str, str]:
    """Digests of the goldens that a test compared with, and of the one that it only loaded."""
    found = {f"golden {case!r}": metrics["golden"] for case, metrics in row.metrics.items()}
    if row.golden is not None and row.golden["digest"] not in found.values():
        found[f"golden {row.golden['file']}"] = row.golden["digest"]
    return {name: digest for name, digest in found.items() if digest is not None}


def _lost(before: Row, after: Row) -> Iterator[str]:
    """Numbers that the baseline has and the row has not: what is not measured cannot be checked."""
    for case, metrics in before.metrics.items():
        for metric in ("pcc", "rel_l2", "top1", "top5"):
            if metrics[metric] is not None and after.metrics.get(case, {}).get(metric) is None:
                yield f"{metric} of {case!r}"
    if before.collectives is not None and after.collectives is None:
        yield "collectives"
    if before.bytes_per_chip is not None and after.bytes_per_chip is None:
        yield "bytes per chip"


def _metric(metric: str, before: Row, after: Row) -> Iterator[Change]:
    for case, metrics in before.metrics.items():
        old, new = metrics[metric], after.metrics.get(case, {}).get(metric)
        if old is not None and new is not None:
            yield Change(f"{metric} of {case!r}", old, new, pair(old, new))


def _collectives(before: Row, after: Row) -> Iterator[Change]:
    if before.collectives is None or after.collectives is None:
        return
    for kind in sorted({*before.collectives, *after.collectives}):
        old, new = before.collectives.get(kind, _NONE), after.collectives.get(kind, _NONE)
        yield Change(f"{kind} collectives", old, new, (str(old), str(new)))


def _bytes(before: Row, after: Row) -> Iterator[Change]:
    old, new = before.bytes_per_chip, after.bytes_per_chip
    if old is not None and new is not None:
        yield Change("bytes per chip", old, new, (byte_text(old), byte_text(new)))


def _time(name: str, before: Row, after: Row) -> Iterator[Change]:
    old, new = before.timing[name], after.timing[name]
    if old is not None and new is not None:
        yield Change(name.replace("_s", " time"), old, new, (second_text(old), second_text(new)))
