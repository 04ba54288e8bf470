"""Text helpers for messages and reports: numbers with their units, and "did you mean"."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MULTIPLES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is closest to `name`; None if none is close."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` with the known name that is closest to `name`; empty if none is close."""
    near = closest(name, known)
    return "" if near is None else f" (did you mean {near}?)"


def pair(before: float, after: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart, at least four."""
    for digits in range(4, 18):
        texts = f"{before:.{digits}g}", f"{after:.{digits}g}"
        if texts[0] != texts[1] or before == after:
            return texts
    return repr(before), repr(after)


def metric_text(metric: str, value: float | None) -> str:
    """A metric: correlations and shares with six decimals, errors with two digits, ``-`` for None."""
    if value is None:
        return "-"
    if metric in ("pcc", "top1", "top5"):
        return f"{value:.6f}"
    return f"{value:.1e}" if value else "0"


def byte_text(count: int | None) -> str:
    """``12.3 MiB (12,897,484 bytes)``, or bytes alone below 1 KiB; ``-`` for None."""
    if count is None:
        return "-"
    short = short_bytes(count)
    return short if count < 1024 else f"{short} ({count:,} bytes)"


def short_bytes(count: int | None) -> str:
    """``12.3 MiB``; ``-`` for None."""
    if count is None:
        return "-"
    for unit, size in MULTIPLES:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def second_text(seconds: float | None) -> str:
    """``12.3 ms`` or ``1.23 s``; ``-`` for None."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.4g} s"


def rate_text(unit: str, per_second: float) -> str:
    """``1,235 tokens/s``."""
    return f"{per_second:,.0f} {unit}/s" if per_second >= 10 else f"{per_second:.2g} {unit}/s"


def short_digest(digest: str | None) -> str:
    """``sha256:1a2b02e2da31``; ``unreadable`` for None."""
    if digest is None:
        return "unreadable"
    kind, colon, value = digest.rpartition(":")
    return f"{kind}{colon}{value[:12]}"
