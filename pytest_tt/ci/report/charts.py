"""Charts as inline SVG. Each says in words what it shows, for those who do not see it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from pytest_tt.ci.report.rendering import render
from pytest_tt.text import metric_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_WIDTH, _HEIGHT = 340, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 22, 22


def histogram(name: str, errors: Mapping[str, int]) -> Markup:
    """How many elements of a leaf are off by how much: a bar for each power of ten, and for equal and not finite."""
    decades = sorted(int(key) for key in errors if key not in ("equal", "not finite"))
    classes: list[tuple[str, str, int]] = []
    if "equal" in errors:
        classes.append(("equal", "equal", errors["equal"]))
    if decades:
        for decade in range(decades[0], decades[-1] + 1):
            words = f"from 1e{decade} to 1e{decade + 1}"
            classes.append((f"1e{decade}", words, errors.get(str(decade), 0)))
    if "not finite" in errors:
        classes.append(("NaN", "not finite", errors["not finite"]))
    total = sum(count for _, _, count in classes)
    if not total:
        return Markup("<p>No element was compared.</p>")
    most = max(count for _, _, count in classes)
    step = max(36, min(56, _WIDTH // len(classes)))
    width = _LEFT + _RIGHT + step * len(classes)
    bars = []
    for place, (label, words, count) in enumerate(classes):
        height = (_HEIGHT - _TOP - _BOTTOM) * count / most
        height = max(height, 1.5) if count else 0.0
        x, y = _LEFT + place * step, _HEIGHT - _BOTTOM - height
        bars.append(
            {
                "x": x + 3,
                "y": _round(y),
                "width": step - 6,
                "height": _round(height),
                "kind": {"equal": "bar good", "not finite": "bar bad"}.get(words, "bar"),
                "middle": x + step / 2,
                "above": _round(y - 4),
                "count": _count_text(count) if count else "",
                "label": label,
            }
        )
    return render(
        "histogram",
        name=name,
        spoken=", ".join(f"{words}: {count:,}" for _, words, count in classes if count),
        width=width,
        height=_HEIGHT,
        left=_LEFT,
        right=width - _RIGHT,
        floor=_HEIGHT - _BOTTOM,
        bars=bars,
    )


def lines(
    title: str,
    names: Sequence[str],
    values: Sequence[float | None],
    show: Callable[[float | None], str],
    bound: float | None = None,
) -> Markup:
    """A quantity over the points of a history, oldest first; where a point has no value the line is broken.

    bound: a limit that is drawn too. Positive values that differ by more than ten times are drawn by powers of ten.
    """
    known = [value for value in values if value is not None]
    if not known:
        return Markup()
    drawn = [*known, bound] if bound is not None else known
    logarithmic = min(drawn) > 0 and max(drawn) > 10 * min(drawn)
    scale: Callable[[float], float] = math.log10 if logarithmic else float
    low, high = scale(min(drawn)), scale(max(drawn))
    span = (high - low) or 1.0
    middle = 0.0 if high > low else 0.5
    inner = _WIDTH - _LEFT - _RIGHT

    def x(place: int) -> float:
        return _round(_LEFT + 4 + (inner - 8) * (place / (len(values) - 1) if len(values) > 1 else 0.5))

    def y(value: float) -> float:
        return _round(_HEIGHT - _BOTTOM - 6 - (_HEIGHT - _TOP - _BOTTOM - 12) * ((scale(value) - low) / span + middle))

    spoken = "; ".join(
        f"{name}: {'no value' if value is None else show(value)}" for name, value in zip(names, values, strict=True)
    )
    ends = f"{show(known[0])} to {show(known[-1])}" if len(known) > 1 else show(known[0])
    note = f", bound {show(bound)}" if bound is not None else ""
    return render(
        "lines",
        caption=f"{title}: {ends}{note}{', powers of ten' if logarithmic else ''}",
        spoken=f"{title} over {len(values)} runs. {spoken}",
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        bound=None if bound is None else y(bound),
        stretches=_stretches(values, x, y),
        marks=[
            {"x": x(place), "y": y(value), "words": f"{names[place]}: {show(value)}"}
            for place, value in enumerate(values)
            if value is not None
        ],
        most=show(max(known)),
        least=show(min(known)) if min(known) < max(known) else "",
        newest=names[-1],
    )


def _stretches(values: Sequence[float | None], x: Callable[[int], float], y: Callable[[float], float]) -> list[str]:
    """Points of each unbroken stretch of two or more values, as SVG wants them."""
    stretches: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append(f"{x(place)},{y(value)}")
    return [" ".join(stretch) for stretch in stretches if len(stretch) > 1]


def use_of_bound(metric: str, value: float | None, bound: float | None) -> Markup:
    """How much of the room that a bound leaves is used, as a bar and in words; nothing where that is not defined."""
    if value is None or bound is None:
        return Markup()
    used, room = (1 - value, 1 - bound) if metric in ("pcc", "top1", "top5") else (value, bound)
    if room <= 0:
        return Markup()
    share = max(0.0, used / room)
    words = f"✓ {share:.0%}".replace("%", " %") if share <= 1 else f"✗ {share:,.3g} times"
    kind = "use" if share <= 1 else "use over"
    return render("bound", width=_round(80 * min(1.0, share)), kind=kind, words=words)


def _count_text(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1e6:.1f}M" if count >= 1_000_000 else f"{count / 1000:.0f}k"


def _round(number: float) -> float:
    return round(number, 1)


def metric_lines(title: str, metric: str, names: Sequence[str], values: Sequence[float | None]) -> Markup:
    """`lines` of a metric, written as reports write it."""
    return lines(title, names, values, lambda value: metric_text(metric, value))
