"""Checks a document by the published schema, ``schema.json``, and says in one line what does not fit it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pytest_tt.results.arrays import parse_text
from pytest_tt.targets.mesh import MeshShape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class MismatchError(ValueError):
    """A value does not fit the schema; the text names its place, what was expected and what is there."""


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a results document."""
    text = files("pytest_tt.results").joinpath("schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def backends() -> tuple[str, ...]:
    """The backends that rows may name."""
    return tuple(name for name in schema()["$defs"]["row"]["properties"]["backend"]["enum"] if name is not None)


def check(document: Any) -> None:
    """Raise MismatchError for the first part of `document` that does not fit the schema."""
    validate, refusal = _validator()
    try:
        validate(document)
    except refusal as error:
        raise MismatchError(_line(document, error)) from None


@cache
def _validator() -> tuple[Callable[[Any], Any], type[Exception]]:
    """What checks a document, and what it raises."""
    # fastjsonschema knows drafts up to 7; of the keywords that schema.json uses, none changed in 2020-12. A library for
    # 2020-12 (jsonschema) takes ten times as long and brings four packages, one of them compiled.
    import fastjsonschema

    readers = {"date-time": datetime.fromisoformat, "mesh": MeshShape.parse, "array": parse_text}
    formats = {name: _holds(read) for name, read in readers.items()}
    return fastjsonschema.compile(schema(), formats=formats), fastjsonschema.JsonSchemaValueException


def _holds(read: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether `read` takes a text."""

    def holds(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return holds


def _line(document: Any, error: Any) -> str:
    """What is wrong, in words; `error` is a JsonSchemaValueException."""
    value, rule, definition = error.value, error.rule, error.definition
    place = place_text(next(_paths(document, str(error.name).removeprefix("data")), ()))
    if rule == "required":
        missing = next(key for key in definition["required"] if key not in value)
        return f"{place or 'the document'}: has no {missing!r}"
    expected = definition.get("title") or ("a list" if "array" in definition["type"] else "an object")
    if rule == "propertyNames":
        names = definition["propertyNames"]
        value = next(key for key in value if not re.search(names["pattern"], key))
        expected = f"{names['title']} as a key"
    return f"{place}: expected {expected}, found {shown(value)}"


def _paths(value: Any, name: str) -> Iterator[tuple[str | int, ...]]:
    """Keys and indices that `name`, such as ``.tests[1].timing.run_s``, may mean: a key may hold points itself."""
    if not name:
        yield ()
    pairs = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, entry in pairs:
        start = f"[{key}]" if isinstance(key, int) else f".{key}"
        if name.startswith(start):
            yield from ((key, *rest) for rest in _paths(entry, name.removeprefix(start)))


def place_text(path: Sequence[str | int]) -> str:
    """``tests[1].collectives["all-reduce"]``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif re.fullmatch(r"[A-Za-z_]\w*", key):
            text += f".{key}" if text else key
        else:
            text += f"[{json.dumps(key, ensure_ascii=False)}]"
    return text


def shown(value: Any) -> str:
    """A value as JSON, at most 60 characters of it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
