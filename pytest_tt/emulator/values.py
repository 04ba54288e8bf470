"""Attributes of a step by the type that its op gives them; one of another type is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tt.emulator.attributes import Opaque

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_tt.emulator.errors import EmulationError
    from pytest_tt.emulator.step import Step


def integer(step: Step, name: str, default: int | None = None) -> int:
    """``dim = 1 : si32``. Raises EmulationError if it is not an integer, or missing and there is no default."""
    value = step.attributes.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(step, name, "an integer")
    return value


def number(step: Step, name: str, default: float | None = None) -> int | float:
    """An integer or a float. Raises EmulationError for another type, or if it is missing and there is no default."""
    value = step.attributes.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(step, name, "a number")
    return value


def flag(step: Step, name: str, default: bool | None = None) -> bool:
    """``keep_dim = true``. Raises EmulationError if it is not a bool, or missing and there is no default."""
    value = step.attributes.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(step, name, "true or false")
    return value


def integers(step: Step, name: str, count: int | None = None) -> tuple[int, ...]:
    """``[1, 2]``, ``array<i32: 1, 2>`` or ``#ttnn.shape<1x2>``. Raises EmulationError for another form or count."""
    value = step.attributes.get(name)
    if isinstance(value, Opaque):
        value = value.integers
    if not isinstance(value, tuple) or any(isinstance(part, bool) or not isinstance(part, int) for part in value):
        raise _wrong(step, name, "integers")
    found = tuple(part for part in value if isinstance(part, int))
    if count is not None and len(found) != count:
        raise _wrong(step, name, f"{count} integers")
    return found


def axis(step: Step, name: str, rank: int) -> int:
    """The axis of a tensor of `rank` axes, from 0; one below 0 counts from the end. Raises EmulationError beyond it."""
    found = integer(step, name)
    if not -rank <= found < rank:
        raise _wrong(step, name, f"an axis of a tensor of {rank} axes")
    return found % rank


def word(step: Step, name: str, known: Collection[str], default: str | None = None) -> str:
    """One of `known`: ``"zeros"``, or the text of ``#ttcore.reduce_type<sum>``. Raises EmulationError for another."""
    value = step.attributes.get(name, default)
    found = value.text if isinstance(value, Opaque) else value
    if not isinstance(found, str) or found not in known:
        raise _wrong(step, name, f"one of {', '.join(sorted(known))}")
    return found


def _wrong(step: Step, name: str, expected: str) -> EmulationError:
    value = step.attributes.get(name)
    return step.error(f"attribute {name} is {'missing' if value is None else repr(value)}: expected {expected}")
