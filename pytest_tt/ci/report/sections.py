"""Sections of the page, and the ids in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

    from pytest_tt.ci.report.history import Current


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading and an id that links lead to."""

    anchor: str
    name: str
    content: Markup


def anchor(*parts: str) -> str:
    """An id made of `parts`, the same in every report."""
    return re.sub(r"[^A-Za-z0-9-]", lambda match: f"_{ord(match[0]):x}.", "-".join(parts))


def test_anchor(test: Current) -> str:
    """The id of a test's details."""
    return anchor("test", test.key.nodeid, test.key.where)
