"""Tables of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_tt.ci.report.html import Html, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tt.ci.report.history import Current


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading and an id that links lead to."""

    anchor: str
    name: str
    content: Html


def anchor(*parts: str) -> str:
    """An id made of `parts`, the same in every report."""
    return re.sub(r"[^A-Za-z0-9-]", lambda match: f"_{ord(match[0]):x}.", "-".join(parts))


def test_anchor(test: Current) -> str:
    """The id of a test's details."""
    return anchor("test", test.key.nodeid, test.key.where)


def scrolling(content: Html, label: str) -> Html:
    """A part that scrolls by itself where the window is too narrow for it, with the keyboard too."""
    return element("div", content, class_="scroll", tabindex=0, role="group", aria_label=label)


def table(
    caption: str, header: Sequence[str], rows: Sequence[Html], *, unseen: bool = False, kind: str | None = None
) -> Html:
    """A table that scrolls by itself. unseen: the caption is for screen readers only, a heading says the same."""
    head = element("tr", [element("th", name, scope="col") for name in header])
    return scrolling(
        element(
            "table",
            element("caption", caption, class_="unseen" if unseen else None),
            element("thead", head),
            element("tbody", rows),
            class_=kind,
        ),
        caption,
    )


def numbers(texts: Sequence[str]) -> list[Html]:
    """Cells that are aligned to the right."""
    return [element("td", text, class_="number") for text in texts]
