"""What each field of a results document may hold, and the check that finds the first that holds something else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from math import isfinite
from typing import Any, TypeAlias

from pytest_tt.results.arrays import EXPECTED, Array
from pytest_tt.results.row import PHASES
from pytest_tt.targets.choice import KINDS
from pytest_tt.targets.mesh import MeshShape

OUTCOMES = ("passed", "failed", "skipped", "xfailed", "xpassed", "rerun")
"""pytest's, and pytest-rerunfailures' for a test that died before its last attempt ended."""

Leaf: TypeAlias = Callable[[Any], "str | None"]
"""Says what was expected where a value is not it, and None where it is."""

Form: TypeAlias = "Leaf | dict[str, Any] | list[Any] | Mapped | Maybe | Absent"


class MismatchError(ValueError):
    """A value is not of its form; the text names its place, what was expected and what is there."""


class Mapped:
    """The form of an object whose keys are free and whose values have one form."""

    def __init__(self, form: Form, keys: Leaf | None = None) -> None:
        self.form = form
        self.keys = keys


class Maybe:
    """The form of a value that may be null."""

    def __init__(self, form: Form) -> None:
        self.form = form


class Absent:
    """The form of a field that need not be there."""

    def __init__(self, form: Form) -> None:
        self.form = form


def check(value: Any, form: Form, place: str) -> None:
    """Raise MismatchError for the first part of `value` that is not of its `form`. Keys without a form may be there."""
    if isinstance(form, Absent):
        check(value, form.form, place)
    elif isinstance(form, Maybe):
        if value is not None:
            check(value, form.form, place)
    elif isinstance(form, list):
        if not isinstance(value, list):
            _refuse(value, "a list", place)
        for index, entry in enumerate(value):
            check(entry, form[0], f"{place}[{index}]")
    elif isinstance(form, dict):
        if not isinstance(value, dict):
            _refuse(value, "an object", place)
        for name, part in form.items():
            if name in value:
                check(value[name], part, _below(place, name))
            elif not isinstance(part, Absent):
                raise MismatchError(f"{place or 'the document'}: has no {name!r}")
    elif isinstance(form, Mapped):
        if not isinstance(value, dict):
            _refuse(value, "an object", place)
        for name, entry in value.items():
            if form.keys is not None and (expected := form.keys(name)) is not None:
                _refuse(name, f"{expected} as a key", place)
            check(entry, form.form, _below(place, name))
    elif (expected := form(value)) is not None:
        _refuse(value, expected, place)


def _below(place: str, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        return f"{place}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{place}.{name}" if place else name


def _refuse(value: Any, expected: str, place: str) -> None:
    found = json.dumps(value, ensure_ascii=False)
    shown = found if len(found) <= 60 else f"{found[:57]}..."
    raise MismatchError(f"{place}: expected {expected}, found {shown}")


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _number(value: Any) -> str | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return None if good else "a number"


def _amount(value: Any) -> str | None:
    return None if _number(value) is None and value >= 0 else "a number from 0"


def _count(value: Any) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else "a whole number from 0"


def _positive(value: Any) -> str | None:
    return None if _count(value) is None and value > 0 else "a whole number from 1"


def _one_of(*words: str) -> Leaf:
    return lambda value: None if isinstance(value, str) and value in words else f"one of {', '.join(words)}"


def _mesh(value: Any) -> str | None:
    try:
        MeshShape.parse(value if isinstance(value, str) else "")
    except ValueError:
        return "a mesh such as 1x8"
    return None


def _time(value: Any) -> str | None:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return "a time such as 2026-08-01T12:00:00+00:00"
    return None


def _decade(value: Any) -> str | None:
    return None if re.fullmatch(r"-?\d{1,3}|equal|not finite", value) else "a power of ten, equal or not finite"


def _array(value: Any) -> str | None:
    try:
        Array.parse(value if isinstance(value, str) else "")
    except ValueError:
        return EXPECTED
    return None


_BACKEND = _one_of(*KINDS)

RUN: Form = {
    "versions": Mapped(Maybe(_text)),
    "backend": Maybe(_BACKEND),
    "backend_source": Maybe(_text),
    "system": Maybe(_text),
    "chips": Maybe(_positive),
    "commit": Maybe(_text),
    "start": _time,
    "duration_s": _amount,
}

_LEAF: Form = {
    "shape": [_count],
    "dtype": _text,
    "passed": _flag,
    "values": Mapped(Maybe(_number)),
    "bounds": Mapped(_number),
    "errors": Mapped(_count, _decade),
    "counted": Absent(_count),
}

_CASE: Form = {
    "pcc": Maybe(_number),
    "rel_l2": Maybe(_amount),
    "max_abs": Maybe(_amount),
    "top1": Maybe(_amount),
    "top5": Maybe(_amount),
    "leaf": Maybe(_text),
    "verdict": _one_of("pass", "fail"),
    "golden": Maybe(_text),
    "leaves": Absent(Mapped(_LEAF)),
}

ROW: Form = {
    "nodeid": _text,
    "model": Maybe(_text),
    "variant": Maybe(_text),
    "mesh": Maybe(_mesh),
    "backend": Maybe(_BACKEND),
    "system": Maybe(_text),
    "outcome": _one_of(*OUTCOMES),
    "phase": _one_of(*PHASES),
    "metrics": Mapped(_CASE),
    "timing": {
        "trace_s": Maybe(_amount),
        "compile_s": Maybe(_amount),
        "run_s": Maybe(_amount),
        "test_s": Absent(Maybe(_amount)),
    },
    "bytes_per_chip": Maybe(_count),
    "collectives": Maybe(Mapped(_count)),
    "golden": Maybe({"file": Maybe(_text), "digest": Maybe(_text)}),
    "reason": Maybe(_text),
    # Added after the first documents of this schema were written.
    "shardings": Absent(Maybe([{"axes": Maybe(Mapped(_positive)), "arrays": [_array]}])),
    "work": Absent(Maybe(Mapped(_positive))),
    # Which of a merged document's runs the row is from.
    "run": Absent(_count),
}

DOCUMENT: Form = {"run": RUN, "runs": Absent([RUN]), "tests": [ROW]}
