"""Comparison of outputs with expected values, leaf by leaf; the worst leaf decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_tt.compare.bounds import LOWER, METRICS, Bounds, constant_guard, default_bounds, is_explicit, resolve
from pytest_tt.compare.diagnosis import diagnose, diagnose_shapes
from pytest_tt.compare.dtypes import epsilon, kind_of
from pytest_tt.compare.elements import find_misses
from pytest_tt.compare.errors import error_decades
from pytest_tt.compare.leaf import Check, LeafComparison
from pytest_tt.compare.mask import blank, check_names, counted, pick
from pytest_tt.compare.metrics import Numbers, as_real, measure, top_agreement
from pytest_tt.compare.verdict import footer_lines, leaf_lines, name_lines, wrap
from pytest_tt.targets.choice import KINDS
from pytest_tt.targets.simulated import SimulatedTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Verdict on all leaves, in the order of their names."""

    backend: str
    leaves: tuple[LeafComparison, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether exactly the expected leaves are present and each agrees; False without leaves."""
        compared = any(leaf.numbers is not None and leaf.numbers.size for leaf in self.leaves)
        complete = not self.missing and not self.unexpected
        return compared and complete and all(leaf.passed for leaf in self.leaves)

    @property
    def worst(self) -> LeafComparison | None:
        """The leaf that decides: the one farthest beyond its bounds, or else nearest to them."""
        return max(self.leaves, key=lambda leaf: (not leaf.passed, leaf.severity), default=None)

    def metrics(self) -> dict[str, float | str | None]:
        """Plain JSON: the worst value of each metric over the leaves that have it, worst leaf, verdict.

        A metric is None if no leaf has it, or if any leaf holds NaN or Inf.
        """
        broken = any(leaf.numbers is None or not leaf.numbers.finite for leaf in self.leaves)
        result: dict[str, float | str | None] = {}
        for metric in METRICS:
            values = [value for leaf in self.leaves if (value := leaf.value(metric)) is not None]
            choose = min if metric in LOWER else max
            result[metric] = float(choose(values)) if values and not broken else None
        result["leaf"] = self.worst.name if self.worst else None
        result["verdict"] = "pass" if self.passed else "fail"
        return result

    def leaf_facts(self, most: int = 12) -> dict[str, dict[str, Any]]:
        """Plain JSON: name -> facts of a leaf, for the `most` leaves nearest to their bounds or beyond them."""
        ranked = sorted(self.leaves, key=lambda leaf: (leaf.passed, -leaf.severity))[:most]
        return {leaf.name: leaf.facts() for leaf in sorted(ranked, key=lambda leaf: leaf.name)}

    def text(self, *, title: str = "outputs", footer: str | None = None) -> str:
        """The verdict for a terminal of 100 columns: worst leaf first, then how to update a golden."""
        lines = leaf_lines(self.leaves) + name_lines(self.missing, self.unexpected)
        lines = [*wrap(f"{title}: {self._summary()}"), *lines]
        return "\n".join(lines if self.passed else [*lines, "", *footer_lines(footer)])

    def _summary(self) -> str:
        total, failing = len(self.leaves), sum(not leaf.passed for leaf in self.leaves)
        if self.passed:
            return f"agree in all leaves ({total}); nearest to its bounds: {self.worst.name if self.worst else '-'}"
        parts = []
        if failing:
            noun, verb = "leaf" if total == 1 else "leaves", "differs" if failing == 1 else "differ"
            parts.append(f"{failing} of {total} {noun} {verb}")
        if self.missing:
            parts.append(f"{len(self.missing)} missing")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} unexpected")
        if not parts:
            parts.append("there is nothing to compare, so this proves nothing")
        return f"{', '.join(parts)} (backend {self.backend})"


def compare(
    actual: Mapping[str, Array],
    expected: Mapping[str, Array],
    *,
    backend: str = SimulatedTarget.name,
    bounds: Bounds | None = None,
    recorded: Bounds | None = None,
    status: Bounds | None = None,
    masks: Sequence[Mapping[str, Array]] = (),
    rows: int = 10,
    explain: bool = True,
) -> Comparison:
    """Compare named arrays; the dtype of each actual leaf and the backend choose its default bounds.

    `recorded` (of a golden), then `bounds` (of the test), then `status` (of the status file) change the
    defaults of float leaves; integers and bools must be equal. top1 and top5 are computed for leaves whose
    name ends in "logits", and are judged if bounds ask for them: on those leaves, or on every float leaf
    if no name ends in "logits". `masks`, by the names of leaves, say which elements count (see `counted`): elements
    that a mask hides are ignored, NaN included. `rows` is the largest number of wrong elements kept per leaf; where
    `explain` is false, none are kept and nothing is guessed about what is wrong, which takes half the time. Raises
    ValueError if bounds loosen without a reason, if they ask for top1 or top5 of leaves without an axis to choose
    along, and for a mask that does not fit.
    """
    if backend not in KINDS:
        raise ValueError(f"backend {backend!r} is unknown: expected {' or '.join(map(repr, KINDS))}")
    layers = {"golden": recorded, "test": bounds, "status": status}
    both = [name for name in sorted(expected) if name in actual]
    named_logits = any(name.endswith("logits") for name in both)
    asked = {key for layer in layers.values() if layer for key in layer.given() if key in ("top1", "top5")}
    for by_name in masks:
        check_names(by_name, expected)
    leaves, kept = [], rows if explain else None
    for name in both:
        logits = name.endswith("logits") or (bool(asked) and not named_logits)
        pair = np.asarray(actual[name]), np.asarray(expected[name])
        leaves.append(_judge(name, *pair, backend, layers, [by[name] for by in masks if name in by], logits, kept))
    measured = {check.metric for leaf in leaves for check in leaf.checks if check.value is not None}
    if leaves and all(leaf.numbers is not None for leaf in leaves) and asked - measured:
        raise ValueError(
            f"{min(asked - measured)} is asked for, but no float leaf has a last axis of 2 or more: {', '.join(both)}"
        )
    return Comparison(
        backend=backend,
        leaves=tuple(leaves),
        missing=tuple(name for name in sorted(expected) if name not in actual),
        unexpected=tuple(name for name in sorted(actual) if name not in expected),
    )


def _judge(
    name: str,
    actual: Array,
    expected: Array,
    backend: str,
    layers: Mapping[str, Bounds | None],
    masks: Sequence[Array],
    logits: bool,
    rows: int | None,
) -> LeafComparison:
    bounds, sources = resolve(backend, actual.dtype, layers)
    numbers: Numbers | None = None
    checks: tuple[Check, ...] = ()
    hints: list[str] = []
    problem = _mismatch(actual, expected)
    a, e = as_real(actual), as_real(expected)
    mask = None if problem is not None else counted(name, masks, expected.shape, a.shape)
    if problem is None:
        numbers = measure(*pick(a, e, mask))
        problem = _not_finite(numbers, a.shape, mask)
        if kind_of(actual.dtype) in ("integer", "bool"):
            checks = (Check("unequal", float(numbers.unequal), 0.0, "integers and bools must be equal"),)
            checks += (Check("max_abs", numbers.max_abs, None, ""),)
        else:
            checks = _checks(numbers, bounds, sources, a, e, mask, logits)
    elif actual.shape != expected.shape and rows is not None:
        hints = diagnose_shapes(a, e)
    leaf = LeafComparison(
        name, actual.shape, actual.dtype.name, expected.shape, expected.dtype.name,
        numbers, checks, problem, None, tuple(hints),
        error_decades(*pick(a, e, mask)) if numbers is not None and rows is not None else {},
        None if mask is None else int(mask.sum()) * actual.size // a.size,
    )  # fmt: skip
    if leaf.passed or numbers is None or rows is None:
        return leaf
    a, e = blank(a, mask), blank(e, mask)
    misses = find_misses(a, e, _tolerance(numbers, bounds), bounds.max_abs, numbers.rms_expected, rows)
    misses = replace(misses, size=numbers.size)
    if numbers.finite:
        hints = diagnose(a, e) or misses.where(a.shape)
        hints += _bound_hints(checks, backend, actual.dtype, expected.dtype)
    else:
        hints = _rest(checks)
    return replace(leaf, misses=misses, hints=tuple(hints))


def _mismatch(actual: Array, expected: Array) -> str | None:
    kinds = [kind_of(array.dtype) for array in (actual, expected)]
    if None in kinds:
        raise TypeError(f"cannot compare {actual.dtype} with {expected.dtype}: expected arrays of numbers")
    if actual.shape != expected.shape:
        return f"shape is {actual.shape}, expected {expected.shape}"
    families = ["float" if kind == "low float" else kind for kind in kinds]
    if families[0] != families[1]:
        return f"dtype is {actual.dtype.name}, expected {expected.dtype.name}"
    return None


def _not_finite(numbers: Numbers, shape: tuple[int, ...], mask: Array | None) -> str | None:
    if numbers.finite or numbers.first_bad is None:
        return None
    place = numbers.first_bad if mask is None else np.flatnonzero(mask)[numbers.first_bad]
    index = tuple(int(i) for i in np.unravel_index(place, shape))
    parts = []
    if numbers.bad_actual:
        parts.append(f"actual holds {numbers.bad_actual} NaN or Inf in {numbers.size} elements")
    if numbers.bad_expected:
        parts.append(f"expected holds {numbers.bad_expected} NaN or Inf: the golden itself is broken")
    return f"{', '.join(parts)}; the first is at {index}"


def _checks(
    numbers: Numbers,
    bounds: Bounds,
    sources: Mapping[str, str],
    a: Array,
    e: Array,
    mask: Array | None,
    logits: bool,
) -> tuple[Check, ...]:
    """Every metric of a float leaf with its bound."""
    rel_l2, rel_note = bounds.rel_l2, sources.get("rel_l2", "")
    checks = []
    if numbers.pcc is None:
        if bounds.pcc is not None and (rel_l2 is None or not is_explicit(rel_note)):
            guard = constant_guard(bounds.pcc)
            if rel_l2 is None or guard < rel_l2:
                rel_l2 = guard
                rel_note = f"replaces pcc >= {bounds.pcc:g}: a constant leaf has no correlation"
    else:
        checks.append(Check("pcc", numbers.pcc, bounds.pcc, sources.get("pcc", "")))
    if numbers.rms_expected == 0.0 and numbers.size:
        rel_note = f"{rel_note}; expected is all 0, so this is the RMS of the error"
    checks.append(Check("rel_l2", numbers.rel_l2, rel_l2, rel_note))
    checks.append(Check("max_abs", numbers.max_abs, bounds.max_abs, sources.get("max_abs", "")))
    if logits:
        for metric, k in (("top1", 1), ("top5", 5)):
            value = top_agreement(a, e, k, mask)
            if value is not None:
                checks.append(Check(metric, value, getattr(bounds, metric), sources.get(metric, "")))
    return tuple(checks)


def _tolerance(numbers: Numbers, bounds: Bounds) -> float | None:
    """Relative size from which one element counts as off; None: anything unequal is off."""
    candidates = [bounds.rel_l2] if bounds.rel_l2 is not None else []
    if bounds.pcc is not None:
        candidates.append(constant_guard(bounds.pcc))
    return min(candidates, default=None)


def _bound_hints(checks: tuple[Check, ...], backend: str, dtype: np.dtype[Any], expected: np.dtype[Any]) -> list[str]:
    """Bounds that cannot be met by these dtypes, or that suit another backend."""
    hints: list[str] = []
    rel_l2 = next((check for check in checks if check.metric == "rel_l2"), None)
    if rel_l2 is None or rel_l2.passed or rel_l2.bound is None or rel_l2.value is None:
        return hints
    coarse = epsilon(expected)
    if coarse > epsilon(dtype) and rel_l2.bound < coarse / 4 and rel_l2.value < 2 * coarse:
        hints.append(
            f"expected is {expected.name} and good to {coarse / 2:.1g} only: "
            f"rel_l2 <= {rel_l2.bound:g} needs a golden in {dtype.name}"
        )
    default = default_bounds(backend, dtype)
    values = {check.metric: check.value for check in checks}
    if is_explicit(rel_l2.note) and default.pcc is not None and default.rel_l2 is not None:
        pcc = values.get("pcc")
        if pcc is not None and pcc >= default.pcc and rel_l2.value <= default.rel_l2:
            hints.append(
                f"the defaults of {backend} {dtype.name} would pass: choose the bound by tt_run.backend "
                f"if it was meant for float32 on simulated chips"
            )
    return hints


def _rest(checks: tuple[Check, ...]) -> list[str]:
    if all(check.passed for check in checks):
        return ["the finite elements agree: look for a mask, a division by 0 or an overflow"]
    return []
