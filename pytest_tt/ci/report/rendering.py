"""Makes HTML of the templates in this package, with every text escaped: only what templates give is taken as HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_tt.ci.report.summary import MEANINGS, SYMBOLS

if TYPE_CHECKING:
    from pytest_tt.ci.report.history import Current

# No HTML document may hold these; terminals' colours and broken bytes end up in failure texts.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@cache
def environment() -> Environment:
    """Jinja's, with the templates of this package."""
    found = Environment(
        loader=PackageLoader("pytest_tt.ci.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"SYMBOLS": SYMBOLS, "MEANINGS": MEANINGS}
    return found


def _shown(value: object) -> object:
    """`value` as a template shows it, before it is escaped."""
    return value if isinstance(value, Markup) else _FORBIDDEN.sub("\ufffd", str(value))


def render(template: str, **facts: Any) -> Markup:
    """The template ``templates/<template>.html`` with these facts."""
    return Markup(environment().get_template(f"{template}.html").render(facts))


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
