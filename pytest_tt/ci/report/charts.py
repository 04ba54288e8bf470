"""Charts as inline SVG. Each says in words what it shows, for those who do not see it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_tt.ci.report.html import Html, element
from pytest_tt.text import metric_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_WIDTH, _HEIGHT = 340, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 22, 22


def histogram(name: str, errors: Mapping[str, int]) -> Html:
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
        return element("p", "No element was compared.")
    most = max(count for _, _, count in classes)
    step = max(36, min(56, _WIDTH // len(classes)))
    width = _LEFT + _RIGHT + step * len(classes)
    bars = []
    for place, (label, words, count) in enumerate(classes):
        height = (_HEIGHT - _TOP - _BOTTOM) * count / most
        height = max(height, 1.5) if count else 0.0
        x, y = _LEFT + place * step, _HEIGHT - _BOTTOM - height
        kind = {"equal": "bar good", "not finite": "bar bad"}.get(words, "bar")
        middle = x + step / 2
        bars += [
            element("rect", x=x + 3, y=_round(y), width=step - 6, height=_round(height), class_=kind, rx=1),
            element("text", _count_text(count), x=middle, y=_round(y - 4), text_anchor="middle") if count else None,
            element("text", label, x=middle, y=_HEIGHT - 7, text_anchor="middle", class_="quiet"),
        ]
    spoken = ", ".join(f"{words}: {count:,}" for _, words, count in classes if count)
    return element(
        "figure",
        element("figcaption", f"|actual - expected| of {name}, elements per power of ten"),
        element(
            "svg",
            element("line", x1=_LEFT, x2=width - _RIGHT, y1=_HEIGHT - _BOTTOM, y2=_HEIGHT - _BOTTOM, class_="axis"),
            bars,
            viewBox=f"0 0 {width} {_HEIGHT}",
            width=width,
            height=_HEIGHT,
            role="img",
            aria_label=f"Errors of {name}: {spoken}",
        ),
        class_="chart",
    )


def lines(
    title: str,
    names: Sequence[str],
    values: Sequence[float | None],
    show: Callable[[float | None], str],
    bound: float | None = None,
) -> Html:
    """A quantity over the points of a history, oldest first; where a point has no value the line is broken.

    bound: a limit that is drawn too. Positive values that differ by more than ten times are drawn by powers of ten.
    """
    known = [value for value in values if value is not None]
    if not known:
        return Html("")
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

    marks = [
        element("circle", element("title", f"{names[place]}: {show(value)}"), cx=x(place), cy=y(value), r=3)
        for place, value in enumerate(values)
        if value is not None
    ]
    limit = None
    if bound is not None:
        limit = element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(bound), y2=y(bound), class_="bound")
    spoken = "; ".join(
        f"{name}: {'no value' if value is None else show(value)}" for name, value in zip(names, values, strict=True)
    )
    ends = f"{show(known[0])} to {show(known[-1])}" if len(known) > 1 else show(known[0])
    note = f", bound {show(bound)}" if bound is not None else ""
    return element(
        "figure",
        element("figcaption", f"{title}: {ends}{note}{', powers of ten' if logarithmic else ''}"),
        element(
            "svg",
            limit,
            [element("polyline", points=points, class_="line") for points in _stretches(values, x, y)],
            marks,
            element("text", f"{show(max(known))}", x=_LEFT, y=14),
            element("text", f"{show(min(known))}", x=_LEFT, y=_HEIGHT - 7) if min(known) < max(known) else None,
            element("text", names[-1], x=_WIDTH - _RIGHT, y=_HEIGHT - 7, text_anchor="end", class_="quiet"),
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            width=_WIDTH,
            height=_HEIGHT,
            role="img",
            aria_label=f"{title} over {len(values)} runs. {spoken}",
        ),
        class_="chart",
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


def use_of_bound(metric: str, value: float | None, bound: float | None) -> Html:
    """How much of the room that a bound leaves is used, as a bar and in words; nothing where that is not defined."""
    if value is None or bound is None:
        return Html("")
    used, room = (1 - value, 1 - bound) if metric in ("pcc", "top1", "top5") else (value, bound)
    if room <= 0:
        return Html("")
    share = max(0.0, used / room)
    words = f"✓ {share:.0%}".replace("%", " %") if share <= 1 else f"✗ {share:,.3g} times"
    bar = element(
        "svg",
        element("rect", x=0, y=0, width=80, height=10, class_="room"),
        element(
            "rect", x=0, y=0, width=_round(80 * min(1.0, share)), height=10, class_="use" if share <= 1 else "use over"
        ),
        viewBox="0 0 80 10",
        width=80,
        height=10,
        aria_hidden="true",
    )
    return element("span", bar, words, class_="used")


def _count_text(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1e6:.1f}M" if count >= 1_000_000 else f"{count / 1000:.0f}k"


def _round(number: float) -> float:
    return round(number, 1)


def metric_lines(title: str, metric: str, names: Sequence[str], values: Sequence[float | None]) -> Html:
    """`lines` of a metric, written as reports write it."""
    return lines(title, names, values, lambda value: metric_text(metric, value))
