"""Builds HTML in which every text is escaped: only what these functions make is taken as HTML."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Child: TypeAlias = "str | float | Iterable[Child] | None"
"""What can stand in an element: HTML or text, a number, nothing, or several of these."""

_VOID = frozenset({"br", "col", "link", "meta"})

# No HTML document may hold these; terminals' colours and broken bytes end up in failure texts.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """`value` as HTML; what is HTML already stays."""
    return value if isinstance(value, Html) else Html(escape(_FORBIDDEN.sub("\ufffd", str(value))))


def join(*children: Child) -> Html:
    """The children one after the other; None is nothing."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, str | int | float):
            parts.append(text(child))
        elif child is not None:
            parts.append(join(*child))
    return Html("".join(parts))


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """``<name attribute="...">children</name>``.

    In attributes' names ``_`` stands for ``-`` and a trailing one is dropped (``class_``). True gives an attribute
    without value, False and None give none.
    """
    shown = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        plain = key.rstrip("_").replace("_", "-")
        shown.append(f" {plain}" if value is True else f' {plain}="{text(value)}"')
    opening = f"<{name}{''.join(shown)}>"
    return Html(opening if name in _VOID else f"{opening}{join(*children)}</{name}>")


def unseen(words: str) -> Html:
    """Words for screen readers only."""
    return element("span", words, class_="unseen")
