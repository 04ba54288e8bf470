"""What is worse than in the baseline, what is better, and what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.ci.gate.cards import compare_cards, compare_emulated, newly_refused
from pytest_tt.ci.gate.changes import BETTER, NEW, REGRESSION, STILL, Change, Quantity, grown, more
from pytest_tt.results.card import emulated_programs
from pytest_tt.text import byte_text, pair, second_text, short_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_tt.ci.gate.rules import Rules, RuleSet
    from pytest_tt.results.reading import Key
    from pytest_tt.results.row import Row

# What a test that is known not to work, or that did not run, shows nothing about.
_UNCHECKED = ("skipped", "xfailed")
_PASSED = ("passed", "xpassed")

# Collectives of a kind that a row does not name: none of them.
_NONE = 0


def compare_rows(baseline: Mapping[Key, Row], current: Mapping[Key, Row], rules: RuleSet) -> Iterator[Change]:
    """Changes in the order of `current`, then what is missing of `baseline`."""
    for key, row in current.items():
        yield from _compare(key, baseline.get(key), row, rules.of(key.backend))
    for key, row in baseline.items():
        if key not in current and rules.of(key.backend).missing:
            yield Change(REGRESSION, key, "row", row.outcome, "missing", "every test of the baseline must have a row")


def _compare(key: Key, before: Row | None, after: Row, rules: Rules) -> Iterator[Change]:
    failing = after.outcome not in (*_PASSED, *_UNCHECKED)
    reason = f"{_why(after)}, in {after.phase}"
    if before is None:
        kind = REGRESSION if failing else NEW
        yield Change(kind, key, "outcome", "not in the baseline", after.outcome, reason if failing else "a new test")
    elif failing:
        known = before.outcome not in (*_PASSED, *_UNCHECKED)
        yield Change(STILL if known else REGRESSION, key, "outcome", before.outcome, after.outcome, reason)
        if known:
            yield from newly_refused(key, before, after, rules)
    elif after.outcome == before.outcome and after.outcome in _UNCHECKED:
        yield from newly_refused(key, before, after, rules)
    elif after.outcome in _UNCHECKED:
        if before.outcome in _PASSED and rules.skipped:
            yield Change(REGRESSION, key, "outcome", before.outcome, after.outcome, f"no longer checked: {_why(after)}")
    elif before.outcome not in _PASSED:
        yield Change(BETTER, key, "outcome", before.outcome, after.outcome, "works now")
    else:
        yield from _compare_passed(key, before, after, rules)


def _why(row: Row) -> str:
    return row.reason or "no reason given"


def _compare_passed(key: Key, before: Row, after: Row, rules: Rules) -> Iterator[Change]:
    """Every quantity of a test that passed then and now."""

    def tell(kind: str, quantity: Quantity, rule: str) -> Change:
        return Change(kind, key, quantity.name, *quantity.shown, rule)

    if rules.golden:
        yield from _goldens(key, before, after)
    if rules.missing:
        for name in _lost(before, after):
            yield Change(REGRESSION, key, name, "known", "missing", "what the baseline has must be there")
    for metric, drop in (("pcc", rules.pcc_drop), ("top1", rules.top_drop), ("top5", rules.top_drop)):
        for quantity in _metric(metric, before, after):
            lost = quantity.before - quantity.after
            if drop is not None and abs(lost) > drop:
                yield (
                    tell(REGRESSION, quantity, f"may fall by {drop:g}") if lost > 0 else tell(BETTER, quantity, "risen")
                )
    for quantity in _metric("rel_l2", before, after):
        yield from grown(quantity, rules.rel_l2_ratio, rules.rel_l2_floor, "", tell)
    for quantity in _collectives(before, after):
        yield from more(quantity, rules.collectives, tell)
    for quantity in _bytes(before, after):
        yield from grown(quantity, rules.bytes_ratio, None, "", tell)
    for timing, ratio, floor in (
        ("compile_s", rules.compile_ratio, rules.compile_floor_s),
        ("run_s", rules.run_ratio, rules.run_floor_s),
    ):
        for quantity in _time(timing, before, after):
            yield from grown(quantity, ratio, floor, " s", tell)
    yield from newly_refused(key, before, after, rules)
    yield from compare_cards(before, after, rules, tell)
    yield from compare_emulated(before, after, rules, tell)


def _goldens(key: Key, before: Row, after: Row) -> Iterator[Change]:
    then, now = _digests(before), _digests(after)
    for name, digest in then.items():
        if name in now and now[name] != digest:
            shown = short_digest(digest), short_digest(now[name])
            yield Change(REGRESSION, key, name, *shown, "other numbers are compared than before")


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
    if before.card is not None and before.card["programs"] and not (after.card or {"programs": ()})["programs"]:
        yield "programs by TT's compiler"
    if emulated_programs(before.card) and not emulated_programs(after.card):
        yield "emulated programs"


def _metric(metric: str, before: Row, after: Row) -> Iterator[Quantity]:
    for case, metrics in before.metrics.items():
        old, new = metrics[metric], after.metrics.get(case, {}).get(metric)
        if old is not None and new is not None:
            yield Quantity(f"{metric} of {case!r}", old, new, pair(old, new))


def _collectives(before: Row, after: Row) -> Iterator[Quantity]:
    if before.collectives is None or after.collectives is None:
        return
    for kind in sorted({*before.collectives, *after.collectives}):
        old, new = before.collectives.get(kind, _NONE), after.collectives.get(kind, _NONE)
        yield Quantity(f"{kind} collectives", old, new, (str(old), str(new)))


def _bytes(before: Row, after: Row) -> Iterator[Quantity]:
    old, new = before.bytes_per_chip, after.bytes_per_chip
    if old is not None and new is not None:
        yield Quantity("bytes per chip", old, new, (byte_text(old), byte_text(new)))


def _time(name: str, before: Row, after: Row) -> Iterator[Quantity]:
    old, new = before.timing[name], after.timing[name]
    if old is not None and new is not None:
        yield Quantity(name.replace("_s", " time"), old, new, (second_text(old), second_text(new)))
