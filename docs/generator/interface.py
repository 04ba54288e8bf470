"""The page about the interface for tests and scripts: marker, fixtures, functions and types."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import fields, is_dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from markdown_pieces import code, described, prose, table

import pytest_tt
from pytest_tt.fixtures import FIXTURES
from pytest_tt.marker import TTMarker

if TYPE_CHECKING:
    from collections.abc import Callable


def marker_and_fixtures() -> str:
    signature, _, text = pytest_tt._MARKER.partition(": run on")
    parts = re.split(r"(?:^|[.;] )([a-z]+(?:, [a-z]+)*): ", f". {text.partition('. ')[2]}")[1:]
    words = dict(zip(parts[::2], parts[1::2], strict=True))
    named = [name for keys in words for name in keys.split(", ")]
    described([field.name for field in fields(TTMarker)], dict.fromkeys(named, ""), "the marker's text")
    fixtures = [
        (code(name), prose(str(inspect.getdoc(getattr(pytest_tt, name)))).replace("\n", " "))
        for name in sorted(FIXTURES)
    ]
    rows = [(", ".join(map(code, keys.split(", "))), prose(value)) for keys, value in words.items()]
    return f"""# Marker, fixtures, functions

## Marker

`@pytest.mark.{signature}`. All arguments are optional keywords. For each argument the closest marker wins.

{table(("Argument", "Meaning"), rows)}
## Fixtures

{table(("Fixture", "Value"), fixtures)}
{"".join(map(_api, sorted(set(pytest_tt.__all__) - FIXTURES - {"__version__"}, key=str.lower)))}"""


def _api(name: str) -> str:
    """The section of a public name."""
    thing = getattr(pytest_tt, name)
    if not inspect.isclass(thing):
        return f"## `{name}{_signature(thing)}`\n\n{prose(str(inspect.getdoc(thing)))}\n\n"
    told = str(inspect.getdoc(thing))
    # The rest of a plain class's docstring describes its constructor, which only the plugin calls.
    whole = is_dataclass(thing) or issubclass(thing, Exception)
    text = f"## `{name}`\n\n{prose(told if whole else told.partition(chr(10) * 2)[0])}\n\n"
    if is_dataclass(thing):
        notes = _field_notes(thing)
        rows = [(code(field.name), code(field.type), notes.get(field.name, "")) for field in fields(thing)]
        text += table(("Field", "Type", ""), rows) + "\n"
    for method, member in vars(thing).items():
        public = method == "__call__" or not method.startswith("_")
        if public and isinstance(member, property | cached_property):
            text += f"- `.{method}`: {_item(member)}"
        elif public and inspect.isfunction(member):
            text += f"- `{'' if method == '__call__' else '.' + method}{_signature(member)}`: {_item(member)}"
    return text.rstrip() + "\n\n"


def _item(member: object) -> str:
    return textwrap.indent(prose(str(inspect.getdoc(member))), "  ").strip() + "\n"


def _signature(function: Callable[..., Any]) -> str:
    """Names and defaults; the types are in the code."""
    signature = inspect.signature(function)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _field_notes(thing: type) -> dict[str, str]:
    """Field -> the docstring below it in the code."""
    (body,) = [node.body for node in ast.parse(textwrap.dedent(inspect.getsource(thing))).body if _is_class(node)]
    notes = {}
    for first, second in pairwise(body):
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name) and isinstance(second, ast.Expr):
            notes[first.target.id] = prose(str(ast.literal_eval(second.value))).replace("\n", " ")
    return notes


def _is_class(node: ast.stmt) -> Any:
    return isinstance(node, ast.ClassDef)
