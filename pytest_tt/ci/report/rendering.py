"""Makes HTML of the templates beside this file. Every text is escaped: only what templates give is taken as HTML."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_tt.ci.report.outcomes import MEANINGS, SYMBOLS

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
